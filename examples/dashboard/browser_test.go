package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
)

// tab is a tab of a Chromium that shows the page.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp names a tab by its context
}

// startBrowser starts a Chromium without a profile, and returns a function that opens tabs.
func startBrowser(t *testing.T) (open func(url, user string) tab) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		require.NotEqual(t, "1", os.Getenv("READTHROUGH_REQUIRE_CHROMIUM"), "READTHROUGH_REQUIRE_CHROMIUM=1: %v", err)
		t.Skip("no Chromium on the PATH; on Debian: apt-get install chromium")
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.WSURLReadTimeout(patience), chromedp.WindowSize(1280, 900))
	browser, cancel := chromedp.NewContext(allocator)
	require.NoError(t, chromedp.Do(browser))
	t.Cleanup(func() {
		assert.NoError(t, chromedp.Cancel(browser), "end the browser")
		cancel()
		end()
	})
	return func(url, user string) tab {
		ctx, cancel := chromedp.NewContext(browser)
		require.NoError(t, chromedp.Do(ctx))
		tb := tab{t, ctx}
		ended := tb.complaints(url)
		t.Cleanup(func() {
			cancel()
			<-ended
		})
		tb.do(chromedp.Navigate(url))
		tb.await("it is live", `document.getElementById("signals").textContent === "live"`)
		tb.await("it shows the systems", `document.querySelectorAll("#systems li").length > 5`)
		tb.js(fmt.Sprintf(`const u = document.getElementById("user"); u.value = %q; u.dispatchEvent(new Event("change")); window.neverReloaded = true`, user))
		return tb
	}
}

// complaints makes errors in the console fail the test, until the tab is closed.
func (tb tab) complaints(url string) (ended <-chan struct{}) {
	messages := chromedp.Console(tb.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for message, err := range messages {
			if err != nil {
				return // the tab is closed
			}
			if message.Type == chromedp.ConsoleError || message.Type == chromedp.ConsoleException {
				tb.t.Errorf("%s complained: %v %s", url, message, message.URL)
			}
		}
	}()
	return done
}

func (tb tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	require.NoError(tb.t, chromedp.Do(ctx, actions...))
}

// text returns the text of what a JavaScript expression is.
func (tb tab) text(expression string) string {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`String(`+expression+`)`))
	require.NoError(tb.t, err, expression)
	return text
}

func (tb tab) js(script string) { tb.text(`(() => { ` + script + ` })()`) }

// await waits until a JavaScript expression is true.
func (tb tab) await(what, expression string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience+5*time.Second)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		require.NoError(tb.t, err, "waited in vain: %s (%s)\n%s", what, expression, tb.text(`document.body.innerText`))
	}
}

// click clicks the button of an element that has a text.
func (tb tab) click(within, text string) {
	tb.t.Helper()
	button := fmt.Sprintf(`[...document.querySelectorAll("%s button")].find((b) => (b.getAttribute("aria-label") ?? b.textContent) === %q)`, within, text)
	tb.await("there is a button "+text, button+" !== undefined")
	tb.js(button + `.click()`)
}

// screenshot checks that the page fits into its window, and keeps a picture where READTHROUGH_SCREENSHOTS says.
func (tb tab) screenshot(name string, width, height int64) {
	tb.t.Helper()
	tb.do(chromedp.EmulateViewport(width, height))
	assert.Equal(tb.t, "0", tb.text(`document.documentElement.scrollWidth - document.documentElement.clientWidth`), "%s: at a width of %d the page is wider than the window", name, width)
	directory := os.Getenv("READTHROUGH_SCREENSHOTS")
	if directory == "" {
		return
	}
	picture, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	require.NoError(tb.t, err)
	require.NoError(tb.t, os.MkdirAll(directory, 0o755))
	require.NoError(tb.t, os.WriteFile(filepath.Join(directory, "dashboard-"+name+".png"), picture, 0o644))
}

func shows(id, text string) string {
	return fmt.Sprintf(`document.getElementById(%q).textContent.includes(%q)`, id, text)
}

// Two users at two processes on one Redis: what one changes, the other sees, without a reload; what is of one user is not of the
// other.
func TestBrowser(t *testing.T) {
	open := startBrowser(t)
	c := config{
		redisURL: "redis://" + redistest.StartReal(t, redistest.Options{}).Addr(), near: "strict",
		database: filepath.Join(t.TempDir(), "dashboard.db"), sample: time.Second,
	}
	a, first := start(t, c)
	_, second := start(t, c)
	lin, mara := open(first, "lin"), open(second, "mara")

	lin.js(`window.prompt = () => "The shop is closed"`)
	lin.click("main", "Report one")
	mara.await("the other one sees the incident", shows("incidents", "The shop is closed"))
	mara.await("and at its systems", `document.querySelector('[data-system="api"]').textContent.includes("1 incident")`)
	mara.click("#incidents li", "Resolve")
	lin.await("it is resolved for both", "!"+shows("incidents", "The shop is closed"))

	lin.click("#announcements", "Dismiss")
	lin.await("what is dismissed is gone", `document.querySelectorAll("#announcements li").length === 0`)
	assert.Equal(t, "1", mara.text(`document.querySelectorAll("#announcements li").length`), "the announcement of the other user")

	lin.click("#systems", "Subscribe to Search")
	lin.await("it is subscribed to", shows("subscriptions", "Search"))
	require.NoError(t, a.backends.Notifications.Notify(t.Context(), "Only for Mara", "mara"))
	mara.await("a notification arrives at the other process", shows("notifications", "Only for Mara"))
	mara.await("it is counted", `document.getElementById("unread").textContent === "1"`)
	assert.Equal(t, "false", lin.text(shows("notifications", "Only for Mara")))
	mara.click("aside", "All seen")
	mara.await("it is seen", `document.getElementById("unread").textContent === ""`)

	mara.js(`document.getElementById("cache").click()`)
	mara.await("without the cache, each refresh costs queries", `Number(document.getElementById("last").textContent) > 10`)
	mara.js(`document.getElementById("cache").click()`)
	// Each look refreshes once more: the first one may find entries whose TTL has ended.
	mara.await("with it, none", `(document.getElementById("cache").dispatchEvent(new Event("change")), document.getElementById("last").textContent === "0")`)
	lin.js(`const r = document.getElementById("rate"); r.value = 20; r.dispatchEvent(new Event("change"))`)
	for _, tb := range []tab{lin, mara} {
		tb.await("the sampler finds nothing", `Number(document.getElementById("sampled").textContent.split(" ")[0].replace(",", "")) > 100 && document.getElementById("stale").textContent === "0"`)
		tb.await("it shows the backends", `document.querySelectorAll("#scopes tr").length === 9`)
		assert.Equal(t, "true", tb.text(`window.neverReloaded`), "a tab was loaded again")
	}
	lin.await("changes arrive at a rate", `Number(document.querySelectorAll("#scopes tr")[4].cells[3].textContent) > 30`)
	lin.screenshot("desktop", 1280, 900)
	mara.screenshot("phone", 360, 780)
	mara.js(`document.querySelector("aside .panel:last-child").scrollIntoView()`)
	mara.screenshot("phone-cache", 360, 780)
	assert.NotContains(t, lin.text(`document.body.innerText`), "undefined")
}
