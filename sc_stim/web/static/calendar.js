// Dragging a visit to another day or time, and small help in forms. Without script, the page of each visit moves it.
// The server decides: a drop sends the form #drop, and a refusal comes back in words.

const calendar = document.querySelector("[data-calendar]")
const SAID = document.querySelector("[data-drag-status]")?.dataset
if (calendar) calendar.addEventListener("pointerdown", (event) => {
  const visit = event.target.closest("[data-visit]")
  const by_finger = event.pointerType !== "mouse" // a finger scrolls, unless it takes the grip
  if (visit && event.button === 0 && (!by_finger || event.target.closest(".grip"))) new Drag(visit, event)
})
calendar?.addEventListener("dragstart", (event) => event.preventDefault()) // of the link within

class Drag {
  static FAR_PX = 6

  constructor(visit, event) {
    this.visit = visit
    this.start = [event.clientX, event.clientY]
    this.pointer = event.pointerId
    this.moving = false
    this.refused = {}
    this.target = null
    this.stop = new AbortController()
    const listen = (name, act) => document.addEventListener(name, act, { signal: this.stop.signal })
    listen("pointermove", (news) => this.move(news))
    listen("pointerup", (news) => this.drop(news))
    listen("pointercancel", () => this.end())
    listen("keydown", (news) => { if (news.key === "Escape") this.end(SAID.stays) })
  }

  move(event) {
    if (event.pointerId !== this.pointer) return
    const [x, y] = [event.clientX - this.start[0], event.clientY - this.start[1]]
    if (!this.moving && Math.hypot(x, y) < Drag.FAR_PX) return
    if (!this.moving) this.begin()
    this.visit.style.transform = `translate(${x}px, ${y}px)`
    this.over(document.elementFromPoint(event.clientX, event.clientY))
  }

  begin() {
    this.moving = true
    getSelection().removeAllRanges()
    this.visit.classList.add("dragged")
    calendar.classList.add("dragging")
    this.asked = this.ask()
  }

  // Which days are not offered: dimmed, and the one under the pointer says why.
  async ask() {
    try {
      const answer = await fetch(this.visit.dataset.days)
      if (!answer.ok || answer.redirected) throw new Error(answer.status)
      this.refused = (await answer.json()).days
    } catch {
      this.failed = true
      return
    }
    if (!this.moving) return
    for (const day of calendar.querySelectorAll("[data-day]")) {
      const why = this.refused[day.dataset.day]
      day.classList.toggle("not-offered", why !== undefined)
      day.querySelector("[data-why]").textContent = why ?? ""
    }
  }

  over(element) {
    const day = element?.closest("[data-day]")
    const free = element?.closest("[data-free]")
    const target = free ?? (calendar.classList.contains("month") ? day : null)
    if (target !== this.target) {
      this.target?.classList.remove("target")
      target?.classList.add("target")
      this.target = target
    }
    if (day !== this.day) {
      this.day?.classList.remove("over")
      day?.classList.add("over")
      this.day = day
    }
  }

  async drop(event) {
    if (event.pointerId !== this.pointer) return
    if (!this.moving) return this.end()
    addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true })
    setTimeout(() => this.stop.abort())
    await this.asked
    const { day, target } = this
    if (!day) return this.end(SAID.stays)
    if (this.failed) return this.end(SAID.unasked)
    const why = this.refused[day.dataset.day]
    if (why !== undefined) return this.end(SAID.refused.replace("{why}", why))
    if (!target) return this.end(SAID.taken)
    const form = document.getElementById("drop")
    form.action = this.visit.dataset.visit
    form.elements.version.value = this.visit.dataset.version
    form.elements.day.value = day.dataset.day
    form.elements.slot.value = target.dataset.free ?? this.visit.dataset.slot
    form.submit()
  }

  // The visit goes back to where it was.
  end(words = "") {
    this.stop.abort()
    this.moving = false
    this.target?.classList.remove("target")
    this.day?.classList.remove("over")
    this.visit.style.transform = ""
    this.visit.classList.remove("dragged")
    calendar.classList.remove("dragging")
    for (const day of calendar.querySelectorAll(".not-offered")) {
      day.classList.remove("not-offered")
      day.querySelector("[data-why]").textContent = ""
    }
    document.querySelector("[data-drag-status]").textContent = words
  }
}

// Choosing a time of a day chooses the day.
document.addEventListener("change", (event) => {
  const day = event.target.matches("select[name^=slot-]") && event.target.closest("li")?.querySelector("[type=radio]")
  if (day) day.checked = true
})

// <button data-copy="id of what to copy">: where the browser does not allow it, the text is selected instead.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]")
  if (!button) return
  const source = document.getElementById(button.dataset.copy)
  const said = button.parentElement.querySelector("[data-copied]")
  try {
    await navigator.clipboard.writeText(source.textContent)
    said.textContent = said.dataset.copied
  } catch {
    getSelection().selectAllChildren(source)
    said.textContent = said.dataset.selected
  }
})
