package stablekey_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/readthrough/readthrough/internal/stablekey"
)

// listFilter is what a list endpoint typically filters by.
type listFilter struct {
	Status  string     `json:"status,omitempty"`
	Systems []string   `json:"systems,omitempty"`
	From    *time.Time `json:"from"`
	Until   *time.Time `json:"until"`
	Search  *string    `json:"search"`
	Limit   int        `json:"limit"`
	Offset  int        `json:"offset,omitempty"`
}

func BenchmarkEncode(b *testing.B) {
	at := time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)
	for _, bench := range []struct {
		name string
		v    any
	}{
		{"struct", listFilter{Status: "open", Systems: []string{"s-1", "s-2"}, Limit: 50}},
		{"pointer", &listFilter{Status: "open", Systems: []string{"s-1", "s-2"}, Limit: 50}},
		{"struct with times", listFilter{Status: "open", From: &at, Until: &at, Limit: 50}},
		{"map[string]any", map[string]any{"status": "open", "limit": 50, "systems": []string{"s-1", "s-2"}, "archived": false}},
		{"map[string]string", map[string]string{"status": "open", "owner": "me", "sort": "newest"}},
		{"raw JSON", json.RawMessage(`{"status":"open","systems":["s-1","s-2"],"limit":50}`)},
		{"string", "open"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := stablekey.Encode(bench.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
