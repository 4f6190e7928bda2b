// The time line of a patient: panels that share one zooming axis of days. Figures come from timeline.py; the server's
// own drawings below stay for paper, for tables, and for browsers without script.

const DAY_S = 86_400
const LEAST_S = 7 * DAY_S
const PANEL_PX = 150
const EVENTS_PX = 34
const GUTTER_PX = 56
const HEAT_STEPS = [200, 500, 1000, 2000, 4000, 10_000] // Ω: an impedance is told by its decade, not by a shade
const SHAPES = { alert: "▲", fill: "▼", treatment: "◆", setting: "■", event: "●", refill_by: "◼", review: "✓" }

const place = document.querySelector("[data-timeline]")
if (place) start(place).catch((error) => {
  const status = place.querySelector("[role=status]")
  status.textContent = status.dataset.failed.replace("{why}", error.message)
})

async function start(place) {
  const told = await ask(place.dataset.timeline)
  place.querySelector("[role=status]").remove()
  // Not what somebody opened meanwhile.
  document.querySelector("details.plain-charts:not(:has(details[open]))")?.removeAttribute("open")
  const line = new Timeline(place, told)
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => line.draw())
  addEventListener("resize", () => line.resize())
  for (const panel of told.panels) if (panel.band) line.shade(panel)
}

async function ask(address) {
  const answer = await fetch(address)
  if (!answer.ok || answer.redirected) throw new Error(answer.redirected ? 401 : answer.status)
  return answer.json()
}

class Timeline {
  constructor(place, told) {
    this.place = place
    this.told = told
    this.first = told.x[0] - DAY_S / 2
    this.last = told.x.at(-1) + DAY_S / 2
    this.from = Math.max(this.first, told.today - 90 * DAY_S)
    this.to = this.last
    this.plots = []
    this.buttons()
    this.keys()
    this.draw()
  }

  // What is shown

  show(from, to) {
    const width = Math.min(Math.max(to - from, LEAST_S), this.last - this.first)
    this.from = Math.min(Math.max(from, this.first), this.last - width)
    this.to = this.from + width
    if (!this.due) this.due = requestAnimationFrame(() => this.move())
  }

  move() {
    this.due = 0
    for (const plot of this.plots) plot.setScale("x", { min: this.from, max: this.to })
    this.say(null)
  }

  zoom(factor, around = (this.from + this.to) / 2) {
    this.show(around - (around - this.from) * factor, around + (this.to - around) * factor)
  }

  pan(share) {
    const by = share * (this.to - this.from)
    this.show(this.from + by, this.to + by)
  }

  // Ways to change it

  buttons() {
    const bar = this.place.querySelector("[data-timeline-bar]")
    const { words } = this.told
    const add = (shown, does, label) => {
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = shown
      if (label) button.setAttribute("aria-label", label)
      button.addEventListener("click", does)
      bar.append(button)
    }
    add("◀", () => this.pan(-0.5), words.earlier)
    for (const [days, span] of words.spans) {
      add(span, () => this.show(this.told.today - days * DAY_S, Math.max(this.told.today + DAY_S, this.told.today + days * DAY_S / 4)))
    }
    add(words.all, () => this.show(this.first, this.last))
    add("▶", () => this.pan(0.5), words.later)
    add("+", () => this.zoom(0.5), words.closer)
    add("−", () => this.zoom(2), words.further)
  }

  keys() {
    const does = {
      ArrowLeft: () => this.pan(-0.1), ArrowRight: () => this.pan(0.1), PageUp: () => this.pan(-0.9),
      PageDown: () => this.pan(0.9), Home: () => this.pan(-1e3), End: () => this.pan(1e3),
      "+": () => this.zoom(0.7), "=": () => this.zoom(0.7), "-": () => this.zoom(1.4), 0: () => this.show(this.first, this.last),
    }
    this.place.querySelector("[data-timeline-panels]").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !does[event.key]) return
      event.preventDefault()
      does[event.key]()
    })
  }

  mouse(plot) {
    const over = plot.over
    let grip = null
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return
      grip = { x: event.clientX, from: this.from, to: this.to }
      over.setPointerCapture(event.pointerId)
    })
    over.addEventListener("pointermove", (event) => {
      if (!grip) return
      const by = (event.clientX - grip.x) / over.clientWidth * (grip.to - grip.from)
      this.show(grip.from - by, grip.to - by)
    })
    for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => { grip = null })
    over.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return // the page scrolls
      event.preventDefault()
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX / over.clientWidth)
      else this.zoom(Math.exp(event.deltaY / 400), plot.posToVal(event.offsetX, "x"))
    }, { passive: false })
    over.addEventListener("dblclick", (event) => this.zoom(0.4, plot.posToVal(event.offsetX, "x")))
  }

  // Drawing

  draw() {
    for (const plot of this.plots) plot.destroy()
    this.plots = []
    this.inks = inks()
    const panels = this.place.querySelector("[data-timeline-panels]")
    panels.replaceChildren()
    this.eventsPanel(panels)
    for (const panel of this.told.panels) this.panel(panels, panel)
    this.say(null)
  }

  resize() {
    for (const plot of this.plots) plot.setSize({ width: this.width(), height: plot.height })
  }

  width() { return this.place.querySelector("[data-timeline-panels]").clientWidth }

  options(panel, height, more) {
    const { inks } = this
    return {
      width: this.width(), height, tzDate: (s) => uPlot.tzDate(new Date(s * 1e3), "UTC"), legend: { show: false },
      padding: [6, 28, 0, 0],
      cursor: { drag: { x: false, y: false }, sync: { key: "timeline" }, y: false, points: { size: 6 } },
      scales: { x: { time: true, min: this.from, max: this.to, auto: false }, ...more.scales },
      axes: [
        {
          stroke: inks.quiet, grid: { stroke: inks.line, width: 1 }, ticks: { show: false }, size: 22, font: inks.font,
          space: 70, incrs: [1, 2, 7, 14, 28, 61, 91.3, 182.6, 365.25].map((days) => days * DAY_S),
          values: (_, splits) => splits.map((at) => this.date(at, this.to - this.from > 300 * DAY_S ? "month" : "day")),
        },
        { stroke: inks.quiet, grid: { stroke: inks.line, width: 1 }, ticks: { show: false }, size: GUTTER_PX, font: inks.font, ...more.axis },
      ],
      series: [{}, ...more.series],
      hooks: {
        drawClear: [(plot) => this.behind(plot)],
        draw: more.draw ? [more.draw] : [],
        setCursor: [(plot) => { if (plot === this.plots.find((one) => one.cursor.event)) this.say(plot.cursor.idx) }],
      },
    }
  }

  panel(panels, panel) {
    const figure = document.createElement("figure")
    const caption = document.createElement("figcaption")
    caption.textContent = `${panel.title}, ${panel.unit}`
    if (panel.band) caption.append("; ", this.note(panel.band))
    figure.append(caption)
    panels.append(figure)
    const columns = panel.heat ? [panel.heat[0].map(() => null)] : panel.series.map((one) => one.values)
    const range = panel.range ? () => panel.range : (_, low, high) => low === null ? [0, 1] : [Math.min(low, low - 0.1 * Math.abs(low)), high + 0.1 * Math.abs(high || 1)]
    const series = panel.heat ? [{ show: true }] : panel.series.map((one) => this.series(one))
    const more = {
      scales: { y: { range } }, series,
      axis: panel.heat ? { splits: () => panel.heat.map((_, row) => row + 0.5), values: (_, splits) => splits.map((at) => Math.floor(at) % 2 ? "" : `${Math.floor(at)}`) } : {},
      draw: (plot) => this.before(plot, panel),
    }
    const plot = new uPlot(this.options(panel, PANEL_PX, more), [this.told.x, ...columns], figure)
    plot.root.setAttribute("aria-hidden", "true")
    this.plots.push(plot)
    this.mouse(plot)
  }

  series(one) {
    const { inks } = this
    const colour = one.style === "second" ? inks.medium : inks.series
    const line = { label: one.label, stroke: colour, width: 1.5, spanGaps: false, points: { show: one.style === "line" ? undefined : false, size: 4 } }
    if (one.style === "second") return { ...line, dash: [6, 4] }
    if (one.style === "bars") return { ...line, fill: colour, width: 0, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } }
    return line
  }

  // Days without data are shaded, the future is tinted.
  behind(plot) {
    const { ctx, bbox } = plot
    ctx.save()
    ctx.beginPath()
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
    ctx.clip()
    ctx.fillStyle = this.inks.future
    const today = plot.valToPos(this.told.today + DAY_S / 2, "x", true)
    ctx.fillRect(today, bbox.top, bbox.left + bbox.width - today, bbox.height)
    const panel = this.told.panels[this.plots.indexOf(plot) - 1]
    if (panel) this.gaps(plot, panel)
    if (panel?.band?.low) this.band(plot, panel.band)
    ctx.restore()
  }

  gaps(plot, panel) {
    const { ctx, bbox } = plot
    const { x, today } = this.told
    const columns = panel.heat ?? panel.series.slice(0, 1).map((one) => one.values)
    const known = (index) => columns.some((values) => values[index] !== null && values[index] !== undefined)
    let begun = null
    ctx.fillStyle = this.inks.gap
    for (let index = 0; index <= x.length; index++) {
      const missing = index < x.length && x[index] < today && !known(index)
      if (missing && begun === null) begun = index
      if (missing || begun === null) continue
      const left = plot.valToPos(x[begun] - DAY_S / 2, "x", true)
      const right = plot.valToPos(x[index - 1] + DAY_S / 2, "x", true)
      if (right > bbox.left && left < bbox.left + bbox.width) ctx.fillRect(left, bbox.top, right - left, bbox.height)
      begun = null
    }
  }

  // The usual range takes the server longer than all the rest: it comes when the panels stand.
  async shade(panel) {
    const { band } = panel
    const note = this.note(band)
    try {
      const usual = await ask(band.address)
      const columns = new Map(usual.x.map((x, index) => [x, index]))
      for (const end of ["low", "high"]) band[end] = this.told.x.map((x) => usual[end][columns.get(x)] ?? null)
      note.textContent = usual.x.length ? band.label : band.unknown
    } catch (error) {
      note.textContent = band.failed.replace("{why}", error.message)
      note.classList.add("missing")
    }
    this.plots[this.told.panels.indexOf(panel) + 1].redraw(false)
  }

  // What there is to say of the usual range; one element, however often the panels are drawn.
  note(band) {
    if (!band.note) {
      band.note = document.createElement("span")
      band.note.setAttribute("role", "status")
      band.note.textContent = band.awaited
    }
    return band.note
  }

  // Where the values of this patient usually lie.
  band(plot, band) {
    const { ctx } = plot
    const { x } = this.told
    ctx.fillStyle = this.inks.series
    ctx.globalAlpha = 0.16
    band.low.forEach((low, index) => {
      if (low === null || x[index] < this.from - DAY_S || x[index] > this.to + DAY_S) return
      const left = Math.round(plot.valToPos(x[index] - DAY_S / 2, "x", true))
      const right = Math.round(plot.valToPos(x[index] + DAY_S / 2, "x", true))
      const top = plot.valToPos(band.high[index], "y", true)
      ctx.fillRect(left, top, right - left, plot.valToPos(low, "y", true) - top)
    })
    ctx.globalAlpha = 1
  }

  // What comes on top of the lines: events, the level of an alarm, the fan of the forecast, the heat map.
  before(plot, panel) {
    const { ctx, bbox } = plot
    const px = devicePixelRatio
    ctx.save()
    ctx.beginPath()
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
    ctx.clip()
    if (panel.heat) this.heat(plot, panel)
    ctx.lineWidth = px
    for (const event of this.told.events) {
      ctx.strokeStyle = this.inks[event.kind] ?? this.inks.quiet
      ctx.setLineDash(event.kind === "refill_by" ? [6 * px, 3 * px] : [2 * px, 4 * px])
      this.upright(plot, event.x)
    }
    ctx.strokeStyle = this.inks.ink
    ctx.setLineDash([2 * px, 2 * px])
    this.upright(plot, this.told.today)
    if (panel.level !== null && panel.level !== undefined) {
      ctx.strokeStyle = this.inks.medium
      const y = plot.valToPos(panel.level, "y", true)
      ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke()
    }
    if (panel.fan) this.fan(plot, panel.fan)
    ctx.restore()
  }

  upright(plot, at) {
    const { ctx, bbox } = plot
    const x = plot.valToPos(at, "x", true)
    if (x < bbox.left || x > bbox.left + bbox.width) return
    ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke()
  }

  fan(plot, fan) {
    const { ctx } = plot
    const [x, y, zero] = [plot.valToPos(fan.x, "x", true), plot.valToPos(fan.ml, "y", true), plot.valToPos(0, "y", true)]
    const end = (name) => plot.valToPos(fan[name] ?? this.last, "x", true)
    ctx.setLineDash([])
    ctx.globalAlpha = 0.25
    ctx.fillStyle = this.inks.medium
    ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(end("p05"), zero); ctx.lineTo(end("p95"), zero); ctx.closePath(); ctx.fill()
    ctx.globalAlpha = 1
    ctx.strokeStyle = this.inks.medium
    ctx.beginPath(); ctx.moveTo(x, y); ctx.lineTo(end("p50"), zero); ctx.stroke()
  }

  heat(plot, panel) {
    const { ctx } = plot
    const { x } = this.told
    const wide = Math.max(1, plot.valToPos(x[0] + DAY_S, "x", true) - plot.valToPos(x[0], "x", true))
    const [first, last] = [this.from - DAY_S, this.to + DAY_S]
    panel.heat.forEach((values, row) => {
      const top = plot.valToPos(row + 1, "y", true)
      const high = plot.valToPos(row, "y", true) - top
      values.forEach((ohm, index) => {
        if (ohm === null || x[index] < first || x[index] > last) return
        const step = HEAT_STEPS.findIndex((limit) => ohm < limit)
        ctx.fillStyle = this.inks.heat[step < 0 ? HEAT_STEPS.length : step]
        ctx.fillRect(plot.valToPos(x[index] - DAY_S / 2, "x", true), top, wide + 0.5, high - devicePixelRatio)
      })
    })
  }

  // A lane of shapes, each with its words on pointing at it; the list of events stands beside it for everybody else.
  eventsPanel(panels) {
    const figure = document.createElement("figure")
    panels.append(figure)
    const draw = (plot) => {
      const { ctx, bbox } = plot
      ctx.save()
      ctx.beginPath(); ctx.rect(bbox.left - 8, bbox.top, bbox.width + 16, bbox.height); ctx.clip()
      ctx.font = `${14 * devicePixelRatio}px sans-serif`
      ctx.textAlign = "center"
      ctx.textBaseline = "middle"
      for (const event of this.told.events) {
        ctx.fillStyle = this.inks[event.kind] ?? this.inks.quiet
        ctx.fillText(SHAPES[event.kind] ?? "●", plot.valToPos(event.x, "x", true), bbox.top + bbox.height / 2)
      }
      ctx.restore()
    }
    const more = { scales: { y: { range: () => [0, 1] } }, series: [{ show: true }], axis: { splits: () => [], grid: { show: false } }, draw }
    const options = this.options(null, EVENTS_PX, more)
    options.axes[0].show = false
    const plot = new uPlot(options, [this.told.x, this.told.x.map(() => null)], figure)
    plot.root.setAttribute("aria-hidden", "true")
    this.plots.push(plot)
    this.mouse(plot)
  }

  date(at, form) {
    const parts = { month: { month: "short", year: "2-digit" }, day: { day: "numeric", month: "short" }, full: { day: "numeric", month: "short", year: "numeric" } }
    return new Date(at * 1e3).toLocaleDateString(this.told.locale, { timeZone: "UTC", ...parts[form] })
  }

  // In words: the day under the pointer, or the span that is shown

  say(index) {
    const readout = this.place.querySelector("[data-timeline-readout]")
    const { x, panels, events, words } = this.told
    const day = (at) => this.date(at, "full")
    readout.replaceChildren()
    if (index === null || index === undefined) {
      readout.textContent = words.shown.replace("{first}", day(this.from + DAY_S / 2)).replace("{last}", day(this.to - DAY_S / 2))
      return
    }
    const figures = panels.flatMap((panel) => (panel.series ?? []).map((one) => {
      const value = one.values[index]
      const usual = panel.band?.low && panel.band.low[index] !== null ? ` ${words.usually.replace("{low}", panel.band.low[index]).replace("{high}", panel.band.high[index])}` : ""
      return `${panel.title}${panel.series.length > 1 ? ` ${one.label}` : ""}: ${value === null || value === undefined ? words.missing : `${value} ${panel.unit}`}${usual}`
    }))
    readout.append(`${day(x[index])}. ${figures.join("; ")}.`)
    for (const event of events.filter((one) => one.x === x[index])) {
      const named = `${SHAPES[event.kind] ?? ""} ${words.kinds[event.kind] ?? ""}: ${event.words}`
      const item = document.createElement(event.href ? "a" : "span")
      if (event.href) item.href = event.href
      item.textContent = named
      item.className = "line"
      readout.append(item)
    }
  }
}

function inks() {
  const style = getComputedStyle(document.documentElement)
  const ink = (name) => style.getPropertyValue(`--${name}`).trim()
  return {
    ink: ink("ink"), quiet: ink("quiet"), line: ink("line"), series: ink("series"), medium: ink("medium"), gap: ink("gap"),
    future: ink("future"), alert: ink("high"), fill: ink("done"), refill_by: ink("ink"), treatment: ink("link"),
    setting: ink("low"), event: ink("quiet"), review: ink("done"), font: "13px system-ui, sans-serif",
    heat: ["heat-0", "heat-1", "heat-2", "heat-3", "heat-4", "heat-5", "heat-6"].map(ink),
  }
}
