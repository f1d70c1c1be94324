// Command house measures how the files of the root package hang together. It prints a
// table, with a column for each tree, and what is against the plan in layers.go. Its
// tests hold the package to that plan.
//
//	go run ./internal/house
//	go run ./internal/house -against /tmp/old=before -against /tmp/tried
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
)

// column is a tree in the table.
type column struct {
	name string
	rows []row
}

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", ".", "the directory of the package")
	var trees []string
	flag.Func("against", "a directory to compare with, as dir or dir=name; may be repeated", func(tree string) error {
		trees = append(trees, tree)
		return nil
	})
	flag.Parse()
	ctx := context.Background() //nolint:forbidigo // a command has no caller
	plan, columns, wrong := house(), []column(nil), []string(nil)
	for _, tree := range append(trees, *dir+"=now") {
		path, name, named := strings.Cut(tree, "=")
		if !named {
			name = path
		}
		t, err := open(ctx, path)
		if err != nil {
			log.Fatal(err)
		}
		columns = append(columns, column{name, plan.measure(ctx, t, path)})
		wrong = append(plan.violations(t), plan.excesses(t)...)
	}
	log.SetOutput(os.Stdout)
	log.Printf("%s\nAgainst the plan, now: %d\n%s", table(columns), len(wrong), strings.Join(wrong, "\n"))
}

// table returns the columns and the targets in Markdown.
func table(columns []column) string {
	var b strings.Builder
	b.WriteString("|")
	for _, c := range columns {
		fmt.Fprintf(&b, " | %s", c.name)
	}
	b.WriteString(" | target |\n|---" + strings.Repeat("|--:", len(columns)+1) + "|\n")
	for n, first := range columns[0].rows {
		fmt.Fprintf(&b, "| %s", first.name)
		for _, c := range columns {
			fmt.Fprintf(&b, " | %s", c.rows[n].value)
		}
		fmt.Fprintf(&b, " | %s |\n", first.target)
	}
	return b.String()
}
