package codecs_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/codecs/msgpackcodec"
	"github.com/readthrough/readthrough/codecs/protobufcodec"
	"github.com/readthrough/readthrough/codecs/zstdcodec"
	"github.com/readthrough/readthrough/gobcodec"
	"github.com/readthrough/readthrough/provider"
)

var write = flag.Bool("write", false, "measure the codecs, and write the table of docs/values.md")

// row is a codec and a value that are measured.
type row struct {
	value, name string
	codec       provider.Codec
	v           any
}

// rows returns what is measured. Each value is there as a struct, and as a message for the codec of protocol buffers.
func rows(tb testing.TB) (rows []row) {
	tb.Helper()
	for _, s := range []struct {
		name      string
		v, asForm any
	}{{"user", sampleUser(1), userMessage(1)}, {"order of 12 items", sampleOrder(), orderMessage()}, {"list of 100 users", sampleUsers(), userMessages()}} {
		for _, codec := range []provider.Codec{
			provider.JSON(), gobcodec.New(), msgpackcodec.New(), protobufcodec.New(nil),
			zstdOf(tb, provider.JSON(), zstdcodec.Options{Above: 1}), zstdOf(tb, msgpackcodec.New(), zstdcodec.Options{Above: 1}),
			zstdOf(tb, protobufcodec.New(nil), zstdcodec.Options{Above: 1}),
		} {
			v := s.v
			if strings.Contains(codec.Name(), "protobuf") {
				v = s.asForm
			}
			rows = append(rows, row{s.name, strings.ReplaceAll(codec.Name(), "protobuf+json", "protobuf"), codec, v})
		}
	}
	return rows
}

// size returns the bytes of the encoded value.
func (r row) size(tb testing.TB) int {
	tb.Helper()
	data, err := r.codec.Marshal(r.v)
	require.NoError(tb, err)
	return len(data)
}

func (r row) encode(b *testing.B) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.codec.Marshal(r.v); err != nil {
			b.Fatal(err)
		}
	}
}

func (r row) decode(b *testing.B) {
	b.ReportAllocs()
	data, err := r.codec.Marshal(r.v)
	require.NoError(b, err)
	for b.Loop() {
		if err := r.codec.Unmarshal(data, reflect.New(reflect.TypeOf(r.v)).Interface()); err != nil {
			b.Fatal(err)
		}
	}
}

// check is a fill: it encodes as a store does, with the look at what would come back.
func (r row) check(b *testing.B) {
	b.ReportAllocs()
	checker := provider.NewChecker(r.codec)
	for b.Loop() {
		if _, err := checker.Encode(r.v); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCodecs measures what the table of docs/values.md has.
func BenchmarkCodecs(b *testing.B) {
	for _, r := range rows(b) {
		name := strings.ReplaceAll(r.value, " ", "-") + "/" + r.name
		b.Run("encode/"+name, func(b *testing.B) { r.encode(b); b.ReportMetric(float64(r.size(b)), "bytes") })
		b.Run("fill/"+name, r.check)
		b.Run("decode/"+name, r.decode)
	}
}

const (
	page  = "../docs/values.md"
	begin = "<!-- codecs: go test -run TestTable -write, in codecs -->\n"
	end   = "<!-- /codecs -->\n"
)

// TestTable checks the sizes in the table of docs/values.md. With -write, it measures, and writes the table.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok, "no table")
	table, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "no end of the table")
	if *write {
		table = measured(t)
		require.NoError(t, os.WriteFile(page, []byte(before+begin+table+end+after), 0o600))
	}
	for _, r := range rows(t) {
		size := strconv.Itoa(r.size(t))
		assert.Contains(t, strings.ReplaceAll(table, ",", ""), fmt.Sprintf("| %s | %s | %s |", r.value, r.name, size), "the page is out of date: -write")
	}
}

// measured returns the table. It counts processor time and not time, so other programs hardly change it.
func measured(tb testing.TB) string {
	tb.Helper()
	var b strings.Builder
	b.WriteString("\n| Value | Codec | Bytes | Encode, µs | Allocations | Fill, µs | Decode, µs | Allocations |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows(tb) {
		data, err := r.codec.Marshal(r.v)
		require.NoError(tb, err)
		checker := provider.NewChecker(r.codec)
		encode := func() { _, _ = r.codec.Marshal(r.v) }
		decode := func() { _ = r.codec.Unmarshal(data, reflect.New(reflect.TypeOf(r.v)).Interface()) }
		fill := func() { _, _ = checker.Encode(r.v) }
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.value, r.name, thousands(len(data)), micros(cost(encode)), allocations(encode),
			micros(cost(fill)), micros(cost(decode)), allocations(decode))
	}
	return b.String() + "\n"
}

// cost returns the least processor time of a call, of five rounds.
func cost(f func()) (least time.Duration) {
	least = time.Hour
	for range 5 {
		n, begin, took := 0, processorTime(), time.Duration(0)
		for took < 30*time.Millisecond {
			for range 10 {
				f()
			}
			n, took = n+10, processorTime()-begin
		}
		least = min(least, took/time.Duration(n))
	}
	return least
}

func allocations(f func()) string { return thousands(int(testing.AllocsPerRun(100, f))) }

func micros(d time.Duration) string {
	us := float64(d) / float64(time.Microsecond)
	if us < 10 {
		return strconv.FormatFloat(us, 'f', 1, 64)
	}
	return thousands(int(us + 0.5))
}

// thousands writes a number with a comma.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
