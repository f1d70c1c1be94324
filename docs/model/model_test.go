// Package model_test keeps the page about the model and the code together.
package model_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// functions are the functions and methods that a file of the module declares, as
// the page names them.
func functions(t *testing.T, name string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", name), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if f.Recv == nil {
			names[f.Name.Name] = true
		} else {
			names[receiver(f.Recv.List[0].Type)+"."+f.Name.Name] = true
		}
	}
	return names
}

// receiver returns the name of a receiver's type, without what it is
// parametrised by.
func receiver(of ast.Expr) string {
	switch e := of.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	default:
		return ""
	}
}

// TestPageNamesCode looks for everything that the page says the model stands for.
func TestPageNamesCode(t *testing.T) {
	page := read(t, "README.md")
	found := regexp.MustCompile("`([a-z_/]+\\.go):([A-Za-z.]+)`").FindAllStringSubmatch(page, -1)
	const least = 50
	if len(found) < least {
		t.Errorf("%d functions are named, want at least %d: is the page written in another way?", len(found), least)
	}
	declared := make(map[string]map[string]bool)
	for _, match := range found {
		file, function := match[1], match[2]
		if declared[file] == nil {
			declared[file] = functions(t, file)
		}
		if !declared[file][function] {
			t.Errorf("%s has no function %s", file, function)
		}
	}
	scripts := regexp.MustCompile("`(redisprovider/lua/[a-z_]+\\.lua)`").FindAllStringSubmatch(page, -1)
	if len(scripts) == 0 {
		t.Error("no scripts are named")
	}
	for _, match := range scripts {
		if _, err := os.Stat(filepath.Join("..", "..", match[1])); err != nil {
			t.Error(err)
		}
	}
}

// TestEveryVariantIsRunAndTold compares the variants of the model with those that
// check.sh runs and those that the page tells.
func TestEveryVariantIsRunAndTold(t *testing.T) {
	variant := regexp.MustCompile(`\b(BAD|SEEN)_[A-Z_]+\b`)
	inModel := make(map[string]bool)
	for _, name := range variant.FindAllString(read(t, "lease.pml")+read(t, "near.pml"), -1) {
		inModel[name] = true
	}
	script, page := read(t, "check.sh"), read(t, "README.md")
	for name := range inModel {
		word := regexp.MustCompile(`\b` + name + `\b`)
		if !word.MatchString(script) {
			t.Errorf("check.sh does not run %s", name)
		}
		if strings.HasPrefix(name, "BAD_") && !word.MatchString(page) {
			t.Errorf("README.md does not tell what goes wrong with %s", name)
		}
	}
	for _, name := range variant.FindAllString(script, -1) {
		if !inModel[name] {
			t.Errorf("check.sh runs %s, which no model has", name)
		}
	}
}
