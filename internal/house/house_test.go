package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestLayers checks that no file of the root package uses what a higher layer declares.
func TestLayers(t *testing.T) {
	t.Parallel()
	for _, wrong := range house().violations(root(t)) {
		t.Error(wrong)
	}
}

// TestBounds checks that the files of the root package stay small and apart.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, wrong := range house().excesses(root(t)) {
		t.Error(wrong)
	}
}

func root(t *testing.T) *tree {
	t.Helper()
	tree, err := open(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// synthetic returns a package with these files by name, which imports nothing.
func synthetic(t *testing.T, files map[string]string) *tree {
	t.Helper()
	text := make(map[string]string)
	for name, body := range files {
		text[name] = "package p\n" + body
	}
	tree, err := check("p", text, func(string) (io.ReadCloser, error) { return nil, os.ErrNotExist })
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// small is a plan of two layers and narrow bounds.
func small() *plan {
	return &plan{
		layers: []layer{{"high", []string{"a.go", "b.go"}}, {"low", []string{"c.go", "d.go"}}},
		most:   bounds{knot: 1, file: 9, function: 5, complexity: 3},
	}
}

// TestViolations checks that what is against the layers is said, and nothing else.
func TestViolations(t *testing.T) {
	t.Parallel()
	const upward = "c.go (layer 2, low) uses %s, declared in a.go (layer 1, high): move it down or pass a value"
	uses := func(at, name string) string { return at + ": " + strings.Replace(upward, "%s", name, 1) }
	const knot = "a knot of several layers: a.go (layer 1, high), c.go (layer 2, low) all use each other: take out the uses upward"
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"downward and sideways": {files: map[string]string{
			"a.go": "func A() { B(); C() }", "b.go": "func B() { A() }", "c.go": "func C() { local := 1; _ = local }",
		}},
		"a function": {
			map[string]string{"a.go": "func A() {}", "c.go": "func C() { A(); A() }"},
			[]string{uses("c.go:2:12", "A")},
		},
		"a type, its field and its method": {
			map[string]string{
				"a.go": "type A struct { f int }\nfunc (A) m() {}",
				"c.go": "func C(a A) int {\n a.m()\n return a.f\n}",
			},
			[]string{uses("c.go:2:10", "A"), uses("c.go:3:4", "A.m"), uses("c.go:4:11", "A.f")},
		},
		"a field and a method of a generic type": {
			map[string]string{
				"a.go": "type A[T any] struct { f T }\nfunc (*A[T]) m() {}",
				"b.go": "", "d.go": "",
				"c.go": "func C() int {\n a := D()\n a.m()\n return a.f\n}\nfunc D() *A[int] { return nil }",
			},
			[]string{uses("c.go:4:4", "A.m"), uses("c.go:5:11", "A.f"), uses("c.go:7:11", "A")},
		},
		"a promoted field, though its type is not written": {
			map[string]string{
				"a.go": "type A struct { f int }\ntype E struct { A }",
				"c.go": "func C() { _ = D.f }\nvar D E",
			},
			[]string{uses("c.go:2:18", "A.f"), uses("c.go:3:7", "E")},
		},
		"a knot of two layers": {
			map[string]string{"a.go": "func A() { C() }", "c.go": "func C() { A() }"},
			[]string{uses("c.go:2:12", "A"), knot},
		},
		"an unlisted file": {
			map[string]string{"a.go": "func A() { X() }", "c.go": "func C() { X() }", "x.go": "func X() {}"},
			[]string{"x.go has no layer: add it to the table in internal/house/layers.go"},
		},
	} {
		if got := small().violations(synthetic(t, tt.files)); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tt.want)
		}
	}
}

// TestExcesses checks that what is beyond a bound is said, and what is on it is not.
func TestExcesses(t *testing.T) {
	t.Parallel()
	const lines3, if2 = "\n\n\n", "if a && true {}"
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"as much as there may be": {files: map[string]string{
			"a.go": "func A(a bool) {\n" + if2 + lines3 + "}\n\n\n", "b.go": "func B() { A(true) }",
		}},
		"a knot": {
			map[string]string{"a.go": "func A() { B() }", "b.go": "func B() { A() }"},
			[]string{"files that all use each other, a.go, b.go: 2, of at most 1"},
		},
		"a file": {map[string]string{"a.go": lines3 + lines3 + lines3}, []string{"lines of a.go: 10, of at most 9"}},
		"a function": {
			map[string]string{"a.go": "type T int\nfunc (T) A() {\n\n" + lines3 + "}"},
			[]string{"a.go:3:1: lines of T.A: 6, of at most 5"},
		},
		"complexity": {
			map[string]string{"a.go": "func A(a bool) {\nfor {" + if2 + "}\n}"},
			[]string{"a.go:2:1: cyclomatic complexity of A: 4, of at most 3"},
		},
	} {
		if got := small().excesses(synthetic(t, tt.files)); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tt.want)
		}
	}
}

// TestMeasure measures a package of which everything can be counted by hand.
func TestMeasure(t *testing.T) {
	t.Parallel()
	tree := synthetic(t, map[string]string{
		"a.go": "// Wrap has a comment.\nfunc Wrap() { _ = new(call).done; loader(one(1)).load() }\ntype loader interface{ load() }\n",
		"c.go": "type call struct { done bool; n int; run }\ntype run struct { ran, over bool; c *call }\n",
		"d.go": "type one int\nfunc (one) load() { type local int; _ = local(1) }\ntype Other int\nfunc (Other) Exported(int) {}\n",
	})
	p := small()
	p.readers, p.flights = []string{"a.go"}, []string{"c.go"}
	got := make(map[string]string)
	for _, r := range p.measure(t.Context(), tree, t.TempDir()) {
		got[r.name] = r.value
	}
	for name, want := range map[string]string{
		"files": "3", "lines": "12", "uses between files": "2", "uses upward": "0", "largest knot": "0", "largest file": "5 d.go",
		"names the read path uses of the flights": "2",     // call and its done
		"functions / types of Wrap, all branches": "2 / 4", // call, loader, one, local
		"functions / types on the plain miss":     none,
		"booleans of a call":                      "3",
		"exported names + methods":                "2 + 1",
		"comments ÷ code, layer 1, high":          "33 %",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}
