// What is going on between the page and its server: whether it can be reached, what is being sent, what is not sent yet.
// Its sentences are those of #connection, in the page's language.
{ // names of its own: other scripts stand beside it
  const banner = document.getElementById("connection")
  const ASK_EVERY_MS = 20_000
  const ASK_AGAIN_MS = 3_000
  const ANSWERS_WITHIN_MS = 8_000
  const SENT_FOR_MS = 10_000 // a form that answered with a file leaves its page where it is
  let lostAt = null
  let leaving = false
  let consequence = "" // of what was tried meanwhile

  const sayLost = (tried = "") => {
    lostAt ??= new Date()
    consequence = tried || consequence
    const { zone, lost } = banner.dataset
    const time = lostAt.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone || undefined })
    const words = `${lost.replace("{time}", time)} ${consequence}`.trim()
    if (banner.textContent !== words) banner.textContent = words
    banner.hidden = false
  }

  // Without cookies: asking whether somebody is there must not prolong a session.
  let asked = Date.now()
  const ask = async () => {
    asked = Date.now()
    try {
      if (!navigator.onLine) throw new TypeError("offline")
      const answer = await fetch("/health/live", { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) })
      if (!answer.ok) throw new TypeError(answer.status)
      lostAt = null
      consequence = ""
      banner.hidden = true
      banner.textContent = ""
    } catch {
      if (!leaving) sayLost()
    }
  }
  addEventListener("pagehide", () => { leaving = true })
  addEventListener("pageshow", () => { leaving = false })
  setInterval(() => {
    if (lostAt || (!document.hidden && Date.now() - asked >= ASK_EVERY_MS)) ask()
  }, ASK_AGAIN_MS)
  addEventListener("offline", () => sayLost())
  addEventListener("online", ask)
  for (const doubt of ["htmx:sendError", "htmx:timeout", "live:lost"]) document.addEventListener(doubt, ask)

  // Nothing leads away from what is typed while nobody would answer.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]")
    if (!lostAt && navigator.onLine) return
    if (!link || link.origin !== location.origin || (link.pathname === location.pathname && link.hash)) return
    event.preventDefault()
    sayLost(banner.dataset.unopened)
    ask()
  })

  // A form is sent once, and only where there is somebody to take it.
  const unsaved = new Set()
  document.addEventListener("input", ({ target }) => {
    if (target.form?.method === "post" && target.type !== "search") unsaved.add(target.form)
  })
  addEventListener("beforeunload", (event) => {
    if ([...unsaved].some((form) => form.isConnected)) event.preventDefault()
  })

  // What was typed leaves its page only after the server has answered, and says that the same person is still signed in.
  // The token is that of now: somebody may have signed in again meanwhile, in another tab.
  const signedOut = document.getElementById("signed-out")
  const sayNotSent = (sentence) => {
    signedOut?.querySelectorAll("p").forEach((one) => { one.hidden = one !== sentence })
    if (signedOut) signedOut.hidden = !sentence
    sentence?.scrollIntoView({ block: "nearest" })
  }
  const mayLeave = async () => {
    try {
      if (!navigator.onLine) throw new TypeError("offline")
      const answer = await fetch(signedOut.dataset.ask, { cache: "no-store", signal: AbortSignal.timeout(ANSWERS_WITHIN_MS) })
      if (!answer.ok) throw new TypeError(answer.status)
      const [ended, another] = signedOut.querySelectorAll("p")
      if (answer.redirected) return sayNotSent(ended)
      const { user, token } = await answer.json()
      if (user !== signedOut.dataset.user) return sayNotSent(another)
      for (const field of document.querySelectorAll("[name=csrf_token]")) field.value = token
      sayNotSent(null)
      return true
    } catch {
      sayLost(banner.dataset.unsent)
      banner.scrollIntoView({ block: "nearest" })
    }
  }

  const busy = (form, is) => {
    form.toggleAttribute("data-sent", is)
    if (is) form.setAttribute("aria-busy", "true")
    else form.removeAttribute("aria-busy")
    for (const button of form.elements) {
      if (button.type === "submit") button.disabled = is
    }
  }
  document.addEventListener("submit", (event) => {
    const form = event.target
    if (event.defaultPrevented) return // htmx sends it
    if (form.hasAttribute("data-sent")) return event.preventDefault()
    if (lostAt || !navigator.onLine) {
      event.preventDefault()
      sayLost(banner.dataset.unsent)
      banner.scrollIntoView({ block: "nearest" })
      ask()
      return
    }
    if (unsaved.has(form) && signedOut) {
      event.preventDefault()
      busy(form, true)
      mayLeave().then((may) => {
        busy(form, false)
        if (!may) return
        unsaved.delete(form)
        form.requestSubmit(event.submitter)
        if (form.hasAttribute("data-sent")) busy(form, true)
      })
      return
    }
    unsaved.delete(form)
    if (form.method !== "post") return
    form.setAttribute("data-sent", "")
    setTimeout(() => busy(form, true)) // after the browser has taken down which button it was
    setTimeout(() => busy(form, false), SENT_FOR_MS)
  })
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => busy(form, false)))

  // Parts of a page that are on their way.
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    detail.target?.setAttribute("aria-busy", "true")
    if (detail.elt.matches("form")) busy(detail.elt, true)
  })
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    detail.target?.removeAttribute("aria-busy")
    if (detail.elt.matches("form")) busy(detail.elt, false)
  })
}
