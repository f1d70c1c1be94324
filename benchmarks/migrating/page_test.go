package migrating_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/benchmarks/internal/document"
)

const page = "../../docs/migrating.md"

// TestCode: the code on the page is what the packages have below their imports.
func TestCode(t *testing.T) {
	for _, file := range []string{
		"after/after.go", "goredis/goredis.go", "onceandmap/onceandmap.go", "sturdyc/sturdyc.go", "otter/otter.go", "rueidisaside/rueidisaside.go",
	} {
		code, err := document.Code(file)
		require.NoError(t, err)
		publish(t, "code: "+file, code)
	}
}

// publish writes a text into the page, or compares it with what is there.
func publish(t *testing.T, name, text string) {
	t.Helper()
	if *write {
		require.NoError(t, document.Write(page, name, text))
	}
	there, err := document.Read(page, name)
	require.NoError(t, err)
	assert.Equal(t, text, there, "%q on the page; cd benchmarks && go test ./migrating -write", name)
}
