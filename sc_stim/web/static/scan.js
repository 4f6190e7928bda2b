// The camera reads the code on a label: <div data-scan="udi" data-reader="/static/zxing..." data-read=... hidden>, with what there is to say. What was
// read goes into the field, and nothing leaves the page before the form is sent.
const FORMATS = ["data_matrix", "qr_code", "code_128"]
const LOOK_EVERY_MS = 200

// Some browsers know the detector but can read no code with it, or not these.
const native = async () => {
  if (!("BarcodeDetector" in window)) return null
  const known = await BarcodeDetector.getSupportedFormats()
  if (!FORMATS.every((one) => known.includes(one))) return null
  const detector = new BarcodeDetector({ formats: FORMATS })
  return async (video) => (await detector.detect(video))[0]?.rawValue
}

const loaded = (address) => new Promise((done, failed) => {
  const script = document.createElement("script")
  script.addEventListener("load", done)
  script.addEventListener("error", failed)
  script.src = address
  document.head.append(script)
})

// For the browsers without one: a reader of our own, fetched when somebody wants to scan.
const fetched = async (address) => {
  if (!("ZXing" in window)) await loaded(address)
  const formats = FORMATS.map((one) => ZXing.BarcodeFormat[one.toUpperCase()])
  const { POSSIBLE_FORMATS, TRY_HARDER, ASSUME_GS1 } = ZXing.DecodeHintType
  const reader = new ZXing.MultiFormatReader()
  reader.setHints(new Map([[POSSIBLE_FORMATS, formats], [TRY_HARDER, true], [ASSUME_GS1, true]]))
  const canvas = document.createElement("canvas")
  return (video) => {
    canvas.width = video.videoWidth
    canvas.height = video.videoHeight
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0)
    const picture = new ZXing.HybridBinarizer(new ZXing.HTMLCanvasElementLuminanceSource(canvas))
    try {
      return reader.decodeWithState(new ZXing.BinaryBitmap(picture)).getText()
    } catch (error) {
      if (error instanceof ZXing.NotFoundException) return null
      throw error
    }
  }
}

const offer = (place) => {
  const field = document.getElementById(place.dataset.scan)
  const [button, video, status] = ["button", "video", "p[role=status]"].map((one) => place.querySelector(one))
  const offered = button.textContent
  let read = null
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
      const code = await read(video)
      if (code && stream) {
        stop()
        field.value = code.replaceAll("\u001d", "<GS>") // the separator, which a field would not show
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
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: 1280 } })
    } catch (error) {
      status.textContent = error.name === "NotAllowedError" ? place.dataset.refused : place.dataset.missing
      return
    }
    video.srcObject = stream
    video.hidden = false
    button.textContent = place.dataset.stop
    status.textContent = place.dataset.hold
    try {
      await video.play()
      read ??= await native() ?? await fetched(place.dataset.reader)
    } catch (error) {
      if (stream) status.textContent = place.dataset.unreadable
      stop()
      return
    }
    look()
  }
  button.addEventListener("click", () => stream ? stop() : start())
  addEventListener("pagehide", stop)
  place.hidden = false
}

// Browsers give a camera only to pages that came by HTTPS, or from this machine.
if (navigator.mediaDevices) document.querySelectorAll("[data-scan]").forEach(offer)
