package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
)

// browser is a Chromium without a profile.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp names a browser by its context
}

// startBrowser starts a Chromium, which ends with the test.
func startBrowser(t *testing.T) browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		const how = "no Chromium on the PATH; on Debian: apt-get install chromium"
		require.NotEqual(t, "1", os.Getenv("READTHROUGH_REQUIRE_CHROMIUM"), "READTHROUGH_REQUIRE_CHROMIUM=1: "+how)
		t.Skip(how)
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		// A tab in the background must not wait with what it shows.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.WSURLReadTimeout(patience), chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		end()
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		assert.NoError(t, chromedp.Cancel(ctx), "end the browser")
		cancel()
		end()
	})
	return browser{t, ctx}
}

// tab is a tab of the browser that shows the page of a service.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp names a tab by its context
}

// blank opens a new tab for a URL. What the tab complains about fails the test.
func (b browser) blank(url string) tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	require.NoError(b.t, chromedp.Do(ctx))
	messages := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for message, err := range messages {
			if err != nil {
				return // the tab is closed
			}
			switch message.Type {
			case chromedp.ConsoleError, chromedp.ConsoleWarning, chromedp.ConsoleException:
				if !strings.Contains(message.Text, refused) {
					b.t.Errorf("%s complained: %v %s", url, message, message.URL)
				}
			default:
			}
		}
	}()
	tb := tab{b.t, ctx}
	tb.t.Cleanup(func() {
		cancel()
		<-done
	})
	return tb
}

// open opens the page at a URL in a new tab, and waits until it listens to signals.
func (b browser) open(url string) tab {
	b.t.Helper()
	tb := b.blank(url)
	tb.do("open "+url, chromedp.Navigate(url))
	tb.await("it listens to signals", `document.getElementById("signals").textContent === "live"`)
	tb.await("it shows the list", `document.querySelectorAll("#list li").length > 0`)
	tb.js(`window.neverReloaded = true`)
	return tb
}

// refused is how Chromium logs a request that the service has refused, which some
// of the tests provoke.
const refused = "the server responded with a status of 4"

func (tb tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience)
	defer cancel()
	require.NoError(tb.t, chromedp.Do(ctx, actions...), what)
}

// js runs JavaScript.
func (tb tab) js(script string) {
	tb.t.Helper()
	tb.text(`(() => { ` + script + ` })()`)
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

// await waits until a JavaScript expression is true. The page itself looks, again
// and again.
func (tb tab) await(what, expression string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, patience+pollMargin)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression,
		chromedp.WithPollingInterval(pollEvery), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		require.NoError(tb.t, err, "waited in vain: %s (%s)\n%s", what, expression, tb.text(`document.body.innerText`))
	}
}

const (
	pollEvery = 20 * time.Millisecond
	// pollMargin is for the page to say that it has waited in vain.
	pollMargin = 5 * time.Second
)

// click clicks what a selector finds.
func (tb tab) click(selector string) {
	tb.t.Helper()
	tb.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// clickText clicks the button in the detail that has a text.
func (tb tab) clickText(text string) {
	tb.t.Helper()
	expression := fmt.Sprintf(`[...document.querySelectorAll("#detail button")].find((b) => b.textContent === %q)`, text)
	tb.await("there is a button "+text, expression+" !== undefined")
	tb.js(expression + `.click()`)
}

// typeInto puts text in a field, in place of what is there.
func (tb tab) typeInto(selector, text string) {
	tb.t.Helper()
	tb.js(fmt.Sprintf(`document.querySelector(%q).select()`, selector))
	tb.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// select shows the maintenance of the list that has a title.
func (tb tab) selectTitle(title string) {
	tb.t.Helper()
	tb.js(fmt.Sprintf(`[...document.querySelectorAll("#list button")].find((b) => b.textContent.includes(%q)).click()`, title))
	tb.await("it shows "+title, fmt.Sprintf(`document.getElementById("detail-title")?.textContent === %q`, title))
}

func listed(title string) string {
	return fmt.Sprintf(`document.getElementById("list").textContent.includes(%q)`, title)
}

func detailShows(text string) string {
	return fmt.Sprintf(`document.getElementById("detail").textContent.includes(%q)`, text)
}

// retitle changes the title of what the tab shows.
func (tb tab) retitle(title string) {
	tb.t.Helper()
	tb.clickText("Edit or move")
	tb.typeInto("#editor input[name=title]", title)
	tb.click("#editor button[type=submit]")
	tb.await("the dialog closes", `!document.getElementById("editor").open`)
}

// screenshot keeps a picture of the tab where READTHROUGH_SCREENSHOTS says, if it
// does: of its top, or of what a selector finds.
func (tb tab) screenshot(name string, width, height int64, dark bool, of ...string) {
	tb.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	tb.do("size", chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			},
		})
		return err
	}))
	assert.Equal(tb.t, "0", tb.text(`document.documentElement.scrollWidth - document.documentElement.clientWidth`), "%s: at a width of %d the page is wider than the window", name, width)
	assert.Empty(tb.t, tb.text(contrasts), "%s: too little contrast", name)
	assert.Empty(tb.t, tb.text(unnamed), "%s: without a name", name)
	assert.Empty(tb.t, tb.text(protruding), "%s: what sticks out of what it is in at a width of %d", name, width)
	tb.js(`scrollTo(0, 0)`)
	for _, selector := range of {
		tb.js(fmt.Sprintf(`document.querySelector(%q).scrollIntoView()`, selector))
	}
	directory := os.Getenv("READTHROUGH_SCREENSHOTS")
	if directory == "" {
		return
	}
	picture, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
	require.NoError(tb.t, err)
	require.NoError(tb.t, os.MkdirAll(directory, 0o755))
	require.NoError(tb.t, os.WriteFile(filepath.Join(directory, name+".png"), picture, 0o644))
}

// contrasts lists the texts whose colour differs too little from what is behind it:
// by less than 4.5 to 1, which WCAG 2.2 asks for at level AA.
const contrasts = `(() => {
  const parse = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (text === "" || e.getClientRects().length === 0) continue;
    const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(text.slice(0, 30) + " " + ratio.toFixed(2));
  }
  return bad.join("; ");
})()`

// unnamed lists the controls that have no name for who does not see them.
const unnamed = `[...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, [role=img]")].filter((e) =>
  !(e.labels?.length > 0 || e.textContent.trim() || e.getAttribute("aria-label"))).map((e) => e.outerHTML).join("; ")`

// protruding lists what is wider than the box around it, and is not there to be scrolled.
const protruding = `[...document.querySelectorAll(".panel *, dialog *, .top *")].filter((e) => {
  if (e.closest(".scroll")) return false;
  const box = e.closest(".panel, dialog, .top").getBoundingClientRect(), r = e.getBoundingClientRect();
  return r.width > 1 && (r.right > box.right + 0.5 || r.left < box.left - 0.5);
}).map((e) => e.outerHTML.slice(0, 60)).join("; ")`

// What is created, moved, reported and closed in one tab shows in another, which is
// never loaded again.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	url := startService(t, config{latency: 5 * time.Millisecond})
	one, two := b.open(url), b.open(url)

	const title = "Replace the <b>core</b> switch"
	one.click("#new")
	one.typeInto("#editor input[name=title]", title)
	one.click("#editor button[type=submit]")
	one.await("a maintenance without systems is refused", `document.getElementById("editor-error").textContent.includes("system")`)
	one.screenshot("editor", 1280, 900, false)
	one.click(`#editor input[value="dns"]`)
	one.click("#editor button[type=submit]")
	one.await("the new one is shown", detailShows(title))
	two.await("the other tab lists it", listed(title))

	two.js(`document.querySelector("#filters select").value = "search"; document.querySelector("#filters").dispatchEvent(new Event("input"))`)
	two.await("it is not of that system", "!"+listed(title))
	one.clickText("Edit or move")
	one.click(`#editor input[value="dns"]`)
	one.click(`#editor input[value="search"]`)
	one.click("#editor button[type=submit]")
	two.await("it moved to the system that the other tab lists", listed(title))

	two.selectTitle(title)
	two.typeInto("#detail textarea", "half of a senten") // and the focus stays there
	one.typeInto("#detail textarea", "The switch is in place.")
	one.clickText("Add")
	two.await("the other tab shows the update", detailShows("The switch is in place."))
	assert.Equal(t, "half of a senten", two.text(`document.querySelector("#detail textarea").value`), "what an update of somebody else left of what was being typed")
	assert.Equal(t, "message", two.text(`document.activeElement.name`), "an update of somebody else moved the focus from the text")
	one.clickText("Start")
	one.clickText("Complete")
	two.await("the other tab shows the end", detailShows("Maintenance completed."))
	one.clickText("Delete")
	two.await("it is gone everywhere", "!"+listed(title))
	two.await("the other tab says so", detailShows("was deleted"))

	two.typeInto("#filters input", "nothing is called this")
	two.await("it says that nothing matches", `document.getElementById("list").textContent.includes("None matches")`)
	two.screenshot("empty", 1280, 900, false)
	two.click("#list .nothing button")
	two.await("the filters are gone", `document.querySelectorAll("#list button").length > 5`)

	one.click("#storm")
	one.await("a storm is one query", `document.getElementById("storm-says").textContent.startsWith("1,000 readers, 1 query.")`)

	for _, tb := range []tab{one, two} {
		assert.Equal(t, "true", tb.text(`window.neverReloaded`), "a tab was loaded again")
	}
}

// Two processes on one Redis and one database: what is changed in one is seen in
// the other. When one is cut off, it goes on, and all is right again afterwards.
func TestBrowserTwoProcesses(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	c := config{
		redisURL: "redis://" + redistest.StartReal(t, redistest.Options{}).Addr(),
		database: filepath.Join(t.TempDir(), "maintenance.db"),
		latency:  2 * time.Millisecond,
		// The storm is counted: a machine that is busy must not pass for a store that
		// does not answer.
		storeTimeout: demoStoreTimeout,
		near:         nearflag.Strict,
	}
	one, two := b.open(startService(t, c)), b.open(startService(t, c))
	one.selectTitle("Clean up outgoing mail")
	two.selectTitle("Clean up outgoing mail")
	one.retitle("Changed in one")
	two.await("the other process lists the change", listed("Changed in one"))
	two.await("the other process shows the change", detailShows("Changed in one"))
	two.retitle("Changed in two")
	one.await("and the other way round", detailShows("Changed in two"))

	one.js(fmt.Sprintf(`document.getElementById("readers").dataset.seconds = %d`, proofs.Sized(12, 6)))
	one.click("#readers")
	one.await("its memory answers", `Number(document.getElementById("tile-near-hits").textContent) > 0`)
	one.await("the page says so", `document.getElementById("near-says").textContent.includes("and answers")`)
	one.click("#link")
	one.await("the banner says that Redis is out of reach", `document.getElementById("banner").innerText.includes("out of reach")`)
	one.retitle("Changed while cut off")
	one.await("its own readers see it", detailShows("Changed while cut off"))
	one.await("invalidations wait", `Number(document.getElementById("tile-pending").textContent) > 0`)
	one.await("the banner says so", `/[1-9]\d* invalidations? waits?/.test(document.getElementById("banner").innerText)`)
	assert.NotEqual(t, "true", two.text(listed("Changed while cut off")), "the other process was told of a change before it could see it")
	one.await("its memory is of no use", `document.getElementById("near-says").textContent.includes("does not answer")`)
	assert.Equal(t, "0", one.text(`document.getElementById("tile-near-entries").textContent`), "entries in the memory of a process that is cut off")
	one.screenshot("cut", 1280, 900, false)

	one.click("#link")
	two.await("after the heal, the other process shows it", detailShows("Changed while cut off"))
	one.await("nothing waits any more", `document.getElementById("tile-pending").textContent === "0"`)
	one.await("the banner says so", `document.getElementById("banner").innerText.includes("right again")`)
	two.retitle("Changed after the heal")
	one.await("signals come through again", detailShows("Changed after the heal"))
	one.await("its memory fills again", `Number(document.getElementById("tile-near-entries").textContent) > 0`)

	one.await("the readers are done", `!document.getElementById("readers").disabled`)
	assert.Contains(t, one.text(`document.getElementById("readers-say").textContent`), "none failed", "what the readers say, of which none may fail")
	one.click("#storm")
	one.await("a storm is one query", `document.getElementById("storm-says").textContent.startsWith("1,000 readers, 1 query.")`)
	one.screenshot("desktop", 1280, 900, false)
	one.screenshot("desktop-dark", 1280, 900, true)
	one.screenshot("phone", 360, 780, false)
	one.screenshot("phone-cache", 360, 780, true, "aside")
	one.screenshot("phone-detail", 360, 780, false, "#detail")
}
