package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
)

// The page for operators shows what the service does, renews itself, and invalidates.
func TestBrowserInspector(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	url := startService(t, config{redisURL: "redis://" + redistest.StartReal(t, redistest.Options{}).Addr(), storeTimeout: demoStoreTimeout})
	read := func(path string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode, path)
	}
	for range 3 {
		read("/maintenances/5")
		read("/maintenances?status=planned")
	}
	tb := b.blank(url)
	tb.do("open", chromedp.Navigate(url+"/debug/cache/"))
	tb.screenshot("inspect", 1280, 900, false)
	tb.do("open the scope", chromedp.Click(chromedp.CSS("tbody a")), chromedp.WaitVisible(chromedp.CSS("form[method=get]")))
	assert.Equal(t, "?scope=maintenance", tb.text(`location.search`))
	tb.js(`window.neverReloaded = true`)
	reads := `[...document.querySelectorAll("dt")].find((e) => e.textContent === "Hits").nextElementSibling.textContent`
	before := tb.text(reads)
	read("/maintenances/5")
	tb.await("it renews itself", reads+` !== "`+before+`"`)
	assert.Equal(t, "true", tb.text(`window.neverReloaded`), "the page was loaded again")

	tb.do("list the keys", chromedp.Click(chromedp.CSS("form[method=get] button")), chromedp.WaitVisible(chromedp.CSS("#entries")))
	assert.Equal(t, "2", tb.text(`document.querySelectorAll("#entries tbody tr").length`), "keys that are listed")
	tb.screenshot("inspect-scope", 1280, 1400, false)
	tb.screenshot("inspect-dark", 1280, 900, true)
	tb.screenshot("inspect-phone", 360, 780, false)
	tb.screenshot("inspect-phone-entries", 360, 780, true, "#entries")

	entries := tb.text(`document.querySelector("#entries").innerText`)
	tb.do("without JavaScript", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	key, _, _ := strings.Cut(strings.Split(entries, "\n")[1], "\t")
	tb.do("type the key", chromedp.SendKeys(chromedp.CSS(`input[name=key]`), key), chromedp.Click(chromedp.CSS(`form[method=post] button`)))
	tb.do("wait", chromedp.WaitVisible(chromedp.CSS(`.message`)))
	message, err := chromedp.Run(tb.ctx, chromedp.Text(chromedp.CSS(`.message`)))
	require.NoError(t, err)
	assert.Contains(t, message, "The key is invalidated.")
}
