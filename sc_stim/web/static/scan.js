// The camera reads the code on a label: <div data-scan="udi" data-read=... hidden>, with what there is to say. Offered only where the browser can do it; what
// was read goes into the field, and nothing leaves the page before the form is sent.
const FORMATS = ["data_matrix", "qr_code", "code_128"]
const LOOK_EVERY_MS = 200

const offer = (place) => {
  const field = document.getElementById(place.dataset.scan)
  const [button, video, status] = ["button", "video", "p[role=status]"].map((one) => place.querySelector(one))
  const detector = new BarcodeDetector({ formats: FORMATS })
  const offered = button.textContent
  let stream = null

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop())
    stream = null
    video.hidden = true
    button.textContent = offered
  }
  const look = async () => {
    if (!stream) return
    try {
      const [code] = await detector.detect(video)
      if (code) {
        stop()
        field.value = code.rawValue.replaceAll("\u001d", "<GS>") // the separator, which a field would not show
        status.textContent = place.dataset.read
        field.focus()
        return
      }
    } catch (error) {
      stop()
      status.textContent = place.dataset.unreadable
      return
    }
    setTimeout(look, LOOK_EVERY_MS)
  }
  const start = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } })
    } catch (error) {
      status.textContent = error.name === "NotAllowedError" ? place.dataset.refused : place.dataset.missing
      return
    }
    video.srcObject = stream
    video.hidden = false
    await video.play()
    button.textContent = place.dataset.stop
    status.textContent = place.dataset.hold
    look()
  }
  button.addEventListener("click", () => stream ? stop() : start())
  addEventListener("pagehide", stop)
  place.hidden = false
}

// Some browsers know the detector but can read no code with it.
const places = document.querySelectorAll("[data-scan]")
if (places.length && "BarcodeDetector" in window && navigator.mediaDevices) {
  BarcodeDetector.getSupportedFormats().then((known) => {
    if (FORMATS.every((one) => known.includes(one))) places.forEach(offer)
  })
}
