package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"os/exec"
	"path"
	"strings"
)

// reachable returns the functions that a call of the function name may run: all
// whose names stand in it, or in one of those. A method of an interface of the
// package stands for that method of all its types that have the interface.
func (t *tree) reachable(name string) map[types.Object]bool {
	reached := make(map[types.Object]bool)
	var follow func(types.Object)
	follow = func(function types.Object) {
		if t.functions[function] == nil {
			for _, method := range t.implementations(function) {
				follow(method)
			}
		} else if !reached[function] {
			reached[function] = true
			t.each(function, follow)
		}
	}
	follow(t.pkg.Scope().Lookup(name))
	return reached
}

// each calls visit for what the package declares and a function refers to.
func (t *tree) each(function types.Object, visit func(types.Object)) {
	ast.Inspect(t.functions[function], func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if object := t.resolve(id); object != nil {
				visit(object)
			}
		}
		return true
	})
}

// implementations returns the methods that a call of an interface's method may run.
// They are none if object is anything else.
func (t *tree) implementations(object types.Object) (methods []types.Object) {
	owner := t.owners[object]
	if owner == nil || !types.IsInterface(owner.Type()) {
		return nil
	}
	for method := range t.functions {
		if method.Name() != object.Name() || t.owners[method] == nil {
			continue
		}
		contract, ok := owner.Type().Underlying().(*types.Interface)
		if ok && types.Implements(types.NewPointer(t.owners[method].Type()), contract) {
			methods = append(methods, method)
		}
	}
	return methods
}

// named returns how many types of the package functions name, each once.
func (t *tree) named(functions map[types.Object]bool) int {
	found := make(map[types.Object]bool)
	for function := range functions {
		t.each(function, func(object types.Object) {
			_, isType := object.(*types.TypeName)
			if _, isParameter := object.Type().(*types.TypeParam); isType && !isParameter {
				found[object] = true
			}
		})
	}
	return len(found)
}

// missed returns those of functions that a plain miss runs, one in memory that nobody
// joins: the go command runs BenchmarkMiss once, with coverage. It fails if dir has no
// tests that compile; without the benchmark, it returns none.
func (t *tree) missed(ctx context.Context, dir string, functions map[types.Object]bool) (map[types.Object]bool, error) {
	file, err := os.CreateTemp("", "house")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it is a temporary file
	defer file.Close()           //nolint:errcheck // it is only read
	test := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^BenchmarkMiss$", "-benchtime=1x", "-coverprofile="+file.Name(), ".")
	test.Dir = dir
	if out, err := test.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	profile, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, err
	}
	ran := make(map[string]bool)                       // "file:line", where a block of statements begins that ran
	for line := range strings.Lines(string(profile)) { // example.com/package/file.go:10.20,12.3 2 1
		if where, _, _ := strings.Cut(path.Base(line), "."); !strings.HasSuffix(line, " 0\n") {
			_, first, _ := strings.Cut(line, ":")
			first, _, _ = strings.Cut(first, ".")
			ran[where+".go:"+first] = true
		}
	}
	on := make(map[types.Object]bool)
	for function := range functions {
		begin := t.set.Position(t.functions[function].Body.Lbrace)
		if ran[fmt.Sprintf("%s:%d", begin.Filename, begin.Line)] {
			on[function] = true
		}
	}
	return on, nil
}
