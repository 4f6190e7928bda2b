// What every page can do by itself. All of it is a convenience: without script, each page still works.

// Live parts: <div id=... data-live="/live" hx-get=... hx-trigger="live">. The server says that there is news, htmx
// fetches the part again; never under somebody's hands.
const live = document.querySelector("[data-live]")
if (live) {
  const QUIET_FOR_TOO_LONG_MS = 45_000
  const status = document.querySelector("[data-live-status]")
  let heard = Date.now()
  let news = false

  const busy = () => {
    const active = document.activeElement
    return document.hidden || live.querySelector("dialog[open], details[open].menu") !== null ||
      (active && live.contains(active) && active.matches("input, select, textarea")) || String(getSelection()) !== ""
  }
  const fetchAgain = () => {
    if (!news || busy()) return
    news = false
    htmx.trigger(document.getElementById(live.id), "live")
  }
  const say = (words, bad) => {
    if (!status || status.textContent === words) return
    status.textContent = words
    status.classList.toggle("missing", bad)
  }

  const listen = () => {
    const source = new EventSource(live.dataset.live)
    const hear = () => { heard = Date.now(); say(status?.dataset.liveWords, false) }
    source.addEventListener("alive", hear)
    source.addEventListener("changed", () => { hear(); news = true; fetchAgain() })
    source.addEventListener("error", () => {
      document.dispatchEvent(new Event("live:lost"))
      if (source.readyState !== EventSource.CLOSED) return // it tries again by itself
      news = true // too many viewers, or signed out: look now and then instead
      setTimeout(listen, 60_000)
    })
    addEventListener("pagehide", () => source.close())
  }
  listen()
  setInterval(() => {
    fetchAgain()
    if (Date.now() - heard > QUIET_FOR_TOO_LONG_MS) {
      const minutes = Math.round((Date.now() - heard) / 60_000)
      say(status?.dataset.quietWords.replace("{minutes}", minutes), true)
    }
  }, 5_000)
}

document.addEventListener("htmx:configRequest", (event) => {
  const by = event.detail.triggeringEvent
  if (by && by.type === "live") event.detail.headers["X-By-Itself"] = "live"
})

// A session that has ended answers a part of a page with the sign-in page: go there as a whole.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail
  if (xhr.responseURL && new URL(xhr.responseURL).pathname === "/sign-in") {
    event.detail.shouldSwap = false
    location.reload()
  }
})

// Rows and buttons with a key of their own: <a data-key="j">. Not while somebody types, and not where they were turned
// off. In a field, Escape leaves it, so that letters are keys again, and Ctrl+Enter sends its form.
const TYPED_IN = "input, select, textarea"
const keysAreOff = () => localStorage.getItem("keys") === "off"
document.addEventListener("keydown", (event) => {
  if (event.target.matches(TYPED_IN)) {
    if (event.key === "Escape") event.target.blur()
    if (event.key === "Enter" && event.ctrlKey && event.target.form) event.target.form.requestSubmit()
    return
  }
  if (event.ctrlKey || event.metaKey || event.altKey || keysAreOff()) return
  const wanted = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)
  if (!wanted) return
  event.preventDefault()
  if (wanted.matches(TYPED_IN)) wanted.focus()
  else wanted.click()
})

// The switch for people whom single letters get in the way: <button type="button" data-keys data-on-words=... hidden>.
document.querySelectorAll("[data-keys]").forEach((keys) => {
  const say = () => { keys.textContent = keysAreOff() ? keys.dataset.onWords : keys.dataset.offWords }
  keys.hidden = false
  keys.addEventListener("click", () => {
    localStorage.setItem("keys", keysAreOff() ? "on" : "off")
    say()
  })
  say()
})

// Buttons that only ask the browser: <button type="button" data-print>.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print()
})

// Paper shows what is folded up on the screen.
addEventListener("beforeprint", () => document.querySelectorAll("details.plain-charts").forEach((folded) => { folded.open = true }))

// What is shown once can be copied: <button type="button" data-copy="ID of the field" hidden>.
if (navigator.clipboard) {
  document.querySelectorAll("[data-copy]").forEach((button) => {
    button.hidden = false
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy)
      field.select()
      await navigator.clipboard.writeText(field.value)
      button.textContent = button.dataset.doneWords
    })
  })
}
