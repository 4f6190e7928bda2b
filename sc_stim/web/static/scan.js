// The camera reads the code on a label: <div data-scan="udi" hidden>. Offered only where the browser can do it; what
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
        status.textContent = "Read. Look at it, then go on."
        field.focus()
        return
      }
    } catch (error) {
      stop()
      status.textContent = "The camera's picture cannot be read here. Type the UDI."
      return
    }
    setTimeout(look, LOOK_EVERY_MS)
  }
  const start = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } })
    } catch (error) {
      status.textContent = error.name === "NotAllowedError"
        ? "The camera is not allowed. Allow it for this page, or type the UDI."
        : "There is no camera to use. Type the UDI."
      return
    }
    video.srcObject = stream
    video.hidden = false
    await video.play()
    button.textContent = "Stop the camera"
    status.textContent = "Hold the code before the camera."
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
