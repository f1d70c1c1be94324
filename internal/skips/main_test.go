package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The lines are what go test -json prints, without times.
const (
	passes = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"    p_test.go:1: says what nobody asks for\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
`
	skips = `{"Action":"output","Package":"p","Test":"TestLeft","Output":"=== RUN   TestLeft\n"}
{"Action":"output","Package":"p","Test":"TestLeft","Output":"    p_test.go:2: it does not apply\n"}
{"Action":"output","Package":"p","Test":"TestLeft","Output":"--- SKIP: TestLeft (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestLeft"}
`
	fails = `{"Action":"output","Package":"p","Test":"TestBad","Output":"    p_test.go:3: it is bad\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
`
	panics = `{"Action":"output","Package":"p","Test":"TestUgly","Output":"panic: ugly\n"}
`
	good = `{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`
	bad = `{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`
	without = `{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
`
	unbuilt = `{"ImportPath":"r","Action":"build-output","Output":"r.go:1:1: no good\n"}
{"ImportPath":"r","Action":"build-fail"}
{"Action":"output","Package":"r","Output":"FAIL\tr [build failed]\n"}
{"Action":"fail","Package":"r","FailedBuild":"r"}
`
)

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		in     string
		expect []string
		prints []string
		fails  string // empty: not
	}{
		"a good run":                  {passes + good + without, nil, []string{"ok  \tp\t0.1s\n?   \tq\t[no test files]\n0 tests were skipped"}, ""},
		"a slow test":                 {strings.Replace(passes, `"pass","Package":"p","Test":"TestGood"`, `"pass","Package":"p","Test":"TestGood","Elapsed":61.5`, 1) + good, nil, []string{"ok  \tp\t0.1s\n  61.5 s  TestGood in p\n0 tests were skipped"}, ""},
		"a skip that is expected":     {passes + skips + good, []string{"no match", "does not apply$"}, []string{"1 tests were skipped"}, ""},
		"a skip that is not":          {passes + skips + good, []string{"no match"}, []string{"ok  \tp"}, "TestLeft in p: p_test.go:2: it does not apply"},
		"a skip without a reason":     {strings.Replace(skips, "p_test.go:2: it does not apply", "", 1) + good, []string{"does not apply"}, nil, "TestLeft in p: "},
		"a failure":                   {passes + fails + bad, nil, []string{"it is bad\n--- FAIL: TestBad", "FAIL\tp"}, "1 packages failed"},
		"a failure and a skip":        {skips + fails + bad, nil, []string{"it is bad"}, "1 packages failed, and these tests were skipped:\nTestLeft"},
		"a panic":                     {panics + bad, nil, []string{"panic: ugly\nFAIL\tp"}, "1 packages failed"},
		"what is not built":           {unbuilt, nil, []string{"no good\nFAIL\tr"}, "1 packages failed"},
		"what the go command says":    {"go: no such module\n" + good, nil, []string{"go: no such module\n"}, ""},
		"a line that is not finished": {passes + good + "go: ends here", nil, []string{"go: ends here"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			expected, err := compile(tt.expect)
			require.NoError(t, err)
			var out strings.Builder
			err = check(strings.NewReader(tt.in), &out, expected)
			if tt.fails == "" {
				assert.NoError(t, err, "ended")
			} else {
				assert.ErrorContains(t, err, tt.fails, "ended")
			}
			for _, part := range tt.prints {
				assert.Contains(t, out.String(), part, "printed\n%s\nwithout", &out)
			}
			assert.NotContains(t, out.String(), "nobody asks", "printed what a test says that passes:\n%s", &out)
		})
	}
	_, err := compile([]string{"("})
	assert.Error(t, err, "no error for a bad regular expression")
}
