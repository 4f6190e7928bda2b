// The worklist by keyboard: j and k go from row to row, b, r and o do what the row's links with data-act say.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return
  const rows = [...document.querySelectorAll("#worklist [data-row]")].filter((row) => row.getClientRects().length) // not what is folded up
  const here = rows.findIndex((row) => row.contains(document.activeElement))
  if (event.key === "j" || event.key === "k") {
    const next = rows[here < 0 ? 0 : Math.min(Math.max(here + (event.key === "j" ? 1 : -1), 0), rows.length - 1)]
    const link = next && next.querySelector("a[id]")
    if (!link) return
    event.preventDefault()
    link.focus()
    next.scrollIntoView({ block: "nearest" })
  } else if (here >= 0) {
    const wanted = rows[here].querySelector(`[data-act="${CSS.escape(event.key)}"]`)
    if (wanted) wanted.click()
  }
})
