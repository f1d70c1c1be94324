package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tree is one package: its files without tests, with every identifier resolved.
// Files are known by their base names.
type tree struct {
	set   *token.FileSet
	text  map[string]string
	files []*ast.File
	pkg   *types.Package
	info  *types.Info

	functions map[types.Object]*ast.FuncDecl // and methods
	owners    map[types.Object]*types.TypeName
}

// listed is what the go command says of a package.
type listed struct {
	ImportPath, Export, Dir string
	GoFiles                 []string
}

// open reads the package in dir. The go command names its files and compiles what
// it imports. Once that is in the build cache, this takes a fraction of a second.
func open(ctx context.Context, dir string) (*tree, error) {
	list := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles", ".")
	list.Dir, list.Stderr = dir, os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", dir, err)
	}
	exports := make(map[string]string)
	var pkg listed
	for packages := json.NewDecoder(bytes.NewReader(out)); packages.More(); {
		pkg = listed{} // the package itself comes last, after what it imports
		if err := packages.Decode(&pkg); err != nil {
			return nil, fmt.Errorf("go list in %s: %w", dir, err)
		}
		exports[pkg.ImportPath] = pkg.Export
	}
	text := make(map[string]string)
	for _, name := range pkg.GoFiles {
		content, err := os.ReadFile(filepath.Join(pkg.Dir, name))
		if err != nil {
			return nil, err
		}
		text[name] = string(content)
	}
	return check(pkg.ImportPath, text, func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
}

// check parses and type-checks the package path, whose files are text by name.
// lookup opens the export data of what it imports.
func check(path string, text map[string]string, lookup importer.Lookup) (*tree, error) {
	t := &tree{
		set: token.NewFileSet(), text: text,
		info:      &types.Info{Defs: make(map[*ast.Ident]types.Object), Uses: make(map[*ast.Ident]types.Object)},
		functions: make(map[types.Object]*ast.FuncDecl), owners: make(map[types.Object]*types.TypeName),
	}
	for _, name := range t.names() {
		file, err := parser.ParseFile(t.set, name, text[name], parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		t.files = append(t.files, file)
	}
	var err error
	config := types.Config{Importer: importer.ForCompiler(t.set, "gc", lookup)}
	if t.pkg, err = config.Check(path, t.set, t.files, t.info); err != nil {
		return nil, err
	}
	t.index()
	return t, nil
}

// index fills functions, and owners: the named type of each method and field.
func (t *tree) index() {
	for _, file := range t.files {
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok {
				t.functions[t.info.Defs[f.Name]] = f
			}
		}
	}
	for _, name := range t.pkg.Scope().Names() {
		owner, ok := t.pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		if named, ok := owner.Type().(*types.Named); ok {
			for method := range named.Methods() {
				t.owners[method] = owner
			}
		}
		switch under := owner.Type().Underlying().(type) {
		case *types.Struct:
			for field := range under.Fields() {
				t.owners[field] = owner
			}
		case *types.Interface:
			for method := range under.ExplicitMethods() {
				t.owners[method] = owner
			}
		}
	}
}

// resolve returns what id refers to, if the package declares it, or else nil. For a
// method or field of an instantiated type it is that of the generic type.
func (t *tree) resolve(id *ast.Ident) types.Object {
	object := t.info.Uses[id]
	switch o := object.(type) {
	case *types.Func:
		object = o.Origin()
	case *types.Var:
		object = o.Origin()
	}
	if object == nil || object.Pkg() != t.pkg {
		return nil
	}
	return object
}

// name returns the name of an object, for a method or field after that of its type.
func (t *tree) name(object types.Object) string {
	if owner := t.owners[object]; owner != nil {
		return owner.Name() + "." + object.Name()
	}
	return object.Name()
}

// names returns the names of the files in order.
func (t *tree) names() []string { return slices.Sorted(maps.Keys(t.text)) }

// lines returns the number of lines of a file.
func (t *tree) lines(file string) int { return strings.Count(t.text[file], "\n") }

// file returns the base name of the file that has pos.
func (t *tree) file(pos token.Pos) string { return t.set.Position(pos).Filename }
