package mutants

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/readthrough/readthrough/internal/proofs"
)

// chosenMutant is the variable of the environment that names the mutant to run.
const chosenMutant = proofs.MutantVariable

// root is the directory of the module.
const root = "../.."

// weave writes the files of a package with all of its mutants into dir, and returns
// the file that tells the go command about them.
func weave(dir, pkg string, mutants []mutant) (overlay string, err error) {
	place, err := filepath.Abs(filepath.Join(root, pkg))
	if err != nil {
		return "", err
	}
	files := map[string][]mutant{}
	for _, m := range mutants {
		files[m.file] = append(files[m.file], m)
	}
	replace, inits := map[string]string{}, ""
	var errs []error // all of them, since a change of the package may break many mutants
	for name, of := range files {
		source, err := os.ReadFile(filepath.Join(place, name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if strings.HasSuffix(name, ".lua") {
			init, err := weaveScript(place, name, source, of)
			errs = append(errs, err)
			inits += init
			continue
		}
		woven, err := weaveFile(name, source, of)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		replace[filepath.Join(place, name)] = filepath.Join(dir, name)
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), woven, 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	// A file of the package that exists for this build only.
	name, err := packageName(place)
	if err != nil {
		return "", err
	}
	chosen := fmt.Sprintf("package %s\n\nimport (\n\"os\"\n\"strings\"\n)\n\nvar chosenMutant = os.Getenv(%q)\n\nvar _ = strings.Replace\n\n%s", name, chosenMutant, inits)
	replace[filepath.Join(place, "chosenmutant.go")] = filepath.Join(dir, "chosenmutant.go")
	if err := os.WriteFile(filepath.Join(dir, "chosenmutant.go"), []byte(chosen), 0o600); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

// packageName returns the name of the package in a directory.
func packageName(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("no files in %s: %w", dir, err)
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(len(a), len(b)) }) // none of a test is the shortest
	file, err := parser.ParseFile(token.NewFileSet(), files[0], nil, parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	return file.Name.Name, nil
}

// uncommented returns the source of a file without its comments: what is said about a mechanism does not
// move it. Directives for the compiler stay.
func uncommented(source []byte) []byte {
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	var out []byte
	copied := 0
	for {
		at, tok, text := s.Scan()
		if tok == token.EOF {
			return append(out, source[copied:]...)
		}
		if tok != token.COMMENT || strings.HasPrefix(text, "//go:") {
			continue
		}
		from := file.Offset(at)
		to := from + len(text)
		before := bytes.TrimRight(source[copied:from], " \t")
		if (len(before) == 0 || bytes.HasSuffix(before, []byte("\n"))) && to < len(source) {
			to++ // the comment has its lines to itself
		}
		out = append(out, before...)
		copied = to
	}
}

// weaveFile puts mutants into the functions that they change.
func weaveFile(name string, source []byte, mutants []mutant) ([]byte, error) {
	source = uncommented(source)
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	bodies := map[*ast.BlockStmt]string{}
	var errs []error
	for _, m := range mutants {
		at, err := m.in(source)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f := functionAt(file, at, at+len(m.original))
		if f == nil {
			errs = append(errs, fmt.Errorf("mutant %q: %s: %q is not within a function", m.name, name, m.original))
			continue
		}
		from, to := offset(file, f.Pos()), offset(file, f.Body.Rbrace)
		changed := string(source[from:at]) + m.replacement + string(source[at+len(m.original):to])
		body := changed[offset(file, f.Body.Lbrace)+1-from:]
		if f.Type.Results == nil {
			body += "\nreturn\n"
		}
		bodies[f.Body] += fmt.Sprintf("\nif chosenMutant == %q {%s}\n", m.name, body)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// From the end to the beginning, so that offsets stay right.
	places := slices.SortedFunc(maps.Keys(bodies), func(a, b *ast.BlockStmt) int { return cmp.Compare(b.Lbrace, a.Lbrace) })
	for _, body := range places {
		source = slices.Insert(slices.Clone(source), offset(file, body.Lbrace)+1, []byte(bodies[body])...)
	}
	return source, nil
}

func offset(file *ast.File, p token.Pos) int { return int(p - file.FileStart) }

// functionAt returns the function that has the bytes from from to to.
func functionAt(file *ast.File, from, to int) *ast.FuncDecl {
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Body != nil && offset(file, f.Pos()) <= from && to <= offset(file, f.Body.Rbrace) {
			return f
		}
	}
	return nil
}

// weaveScript returns functions that change an embedded script when the program
// starts.
func weaveScript(place, name string, source []byte, mutants []mutant) (inits string, err error) {
	embeds, err := os.ReadFile(filepath.Join(place, "script.go"))
	if err != nil {
		return "", err
	}
	variable := regexp.MustCompile(`//go:embed ` + regexp.QuoteMeta(name) + `\n\t(\w+) string`).FindSubmatch(embeds)
	if variable == nil {
		return "", fmt.Errorf("script.go does not embed %s", name)
	}
	var errs []error
	for _, m := range mutants {
		_, err := m.in(source)
		errs = append(errs, err)
		inits += fmt.Sprintf("func init() {\nif chosenMutant == %q {\n%[2]s = strings.Replace(%[2]s, %q, %q, 1)\n}\n}\n", m.name, variable[1], m.original, m.replacement)
	}
	return inits, errors.Join(errs...)
}

// in returns where the original is in the source of its file.
func (m *mutant) in(source []byte) (at int, err error) {
	if n := bytes.Count(source, []byte(m.original)); n != 1 {
		return 0, fmt.Errorf("mutant %q: %s has %d times %q, want 1", m.name, m.file, n, m.original)
	}
	return bytes.Index(source, []byte(m.original)), nil
}
