// The refill visit: difference and ratio as they are typed, with the figures the server gave. Its answer is what counts.
const form = document.querySelector("[data-visit]")
if (form) {
  const given = Object.fromEntries(Object.entries(form.dataset).map(([name, value]) => [name, parseFloat(value)]))
  const reading = document.getElementById("reading")
  const said = reading.dataset // the sentences of the page's language
  const opened = form.elements.at.value

  const typed = (name) => {
    const text = form.elements[name] ? form.elements[name].value.trim().replace(",", ".") : ""
    return /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  }
  const paragraph = (text, kind) => {
    const made = document.createElement("p")
    made.className = kind
    made.textContent = text
    return made
  }

  const compare = () => {
    const aspirated = typed("aspirated_ml")
    if (form.elements.at.value !== opened) {
      return [paragraph(said.moved, "said")]
    }
    if (Number.isNaN(aspirated)) return [paragraph(said.type, "said aside")]
    const difference = given.expected - aspirated
    const delivered = given.before - aspirated
    const ratio = given.programmed > 0 ? delivered / given.programmed : NaN
    const change = Math.round(100 * (ratio - 1))
    const amount = (difference > 0 ? said.less : said.more).replace("{ml}", Math.abs(difference).toFixed(1))
    const shown = [paragraph(Math.abs(difference) < 0.05 ? said.asExpected : amount, "big")]
    if (!Number.isNaN(ratio)) {
      shown.push(paragraph(said.ratio.replace("{delivered}", delivered.toFixed(1))
        .replace("{programmed}", given.programmed.toFixed(1)).replace("{ratio}", ratio.toFixed(2))
        .replace("{percent}", `${change < 0 ? "−" : "+"}${Math.abs(change)}`), "said"))
    }
    const outside = 100 * Math.abs(ratio - 1) > given.accuracy && !(aspirated <= given.foundEmpty && ratio < 1)
    if (Math.abs(difference) > given.limit || outside) {
      shown.push(paragraph(said.again, "advice"))
    }
    return shown
  }
  // The flow of a pattern over the day: that of its steps, each until the next; NaN without steps from midnight on.
  const meanOfSteps = () => {
    const steps = [...form.querySelectorAll("input[type=time]")]
      .map(({ name, value }) => ({ minute: 60 * value.slice(0, 2) + Number(value.slice(3, 5)), flow: typed(name.replace("from", "ml_per_day")), value }))
      .filter(({ value, flow }) => value !== "" && !Number.isNaN(flow))
    if (!steps.length || steps[0].minute !== 0) return NaN
    return steps.reduce((sum, { minute, flow }, row) => sum + flow * ((steps[row + 1]?.minute ?? 1440) - minute), 0) / 1440
  }
  const sayMean = () => {
    const shown = document.getElementById("pattern-mean")
    if (shown) shown.textContent = Number.isNaN(meanOfSteps()) ? "" : shown.dataset.mean.replace("{ml}", Number(meanOfSteps().toFixed(4)))
  }
  const lasts = (field, bolus, most) => {
    const shown = document.getElementById(`${field}-lasts`)
    if (!shown) return
    const mean = most ? meanOfSteps() : NaN
    const flow = (Number.isNaN(mean) ? typed(field) : mean) + ((typed(bolus) || 0) * (most ? typed(most) || 0 : 0))
    const days = typed("filled_ml") / flow
    shown.textContent = Number.isFinite(days) && days > 0 ? shown.dataset.lasts.replace("{days}", days < 10 ? days.toFixed(1) : Math.round(days)) : ""
  }
  const changed = () => [...form.querySelectorAll("[data-was]")].some(
    (field) => field.value.trim() !== "" && field.dataset.was !== "" && typed(field.name) !== Number(field.dataset.was))

  const update = () => {
    if (!Number.isNaN(given.expected)) reading.replaceChildren(...compare())
    lasts("flow_ml_per_day", "bolus_ml", "max_boluses_per_day")
    lasts("programmed_flow_ml_per_day")
    sayMean()
    if (changed()) document.getElementById("bridge").open = true
  }
  form.addEventListener("input", update)
  if (!form.hasAttribute("data-checked")) update()
}
