// Masks of a plan: one bit per cell, row by row, in base64; drawn as hatching over what is marked.

/** Unpack `{height, width, cells: [base64...]}` into arrays of 0 and 1, one per frame. */
export function readMasks({ height, width, cells }) {
  const all = cells.map((text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return Array.from({ length: height * width }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
  });
  return { height, width, all };
}

export function paintMask(canvas, mask) {
  canvas.hidden = !mask;
  if (!mask) return;
  const { height, width, cells } = mask;
  const scale = Math.max(4, Math.ceil(512 / Math.max(width, height)));
  canvas.width = width * scale;
  canvas.height = height * scale;
  const to = canvas.getContext("2d");
  const hatch = new OffscreenCanvas(8, 8);
  const on = hatch.getContext("2d");
  on.fillStyle = "rgb(255 140 0 / .25)";
  on.fillRect(0, 0, 8, 8);
  for (const [shade, shift] of [["#000", 1], ["#ffb27a", 0]]) {
    on.strokeStyle = shade;
    on.beginPath();
    for (const k of [-8, 0, 8]) {
      on.moveTo(k + shift, 8);
      on.lineTo(k + 8 + shift, 0);
    }
    on.stroke();
  }
  to.fillStyle = to.createPattern(hatch, "repeat");
  cells.forEach((marked, i) => {
    if (marked) to.fillRect((i % width) * scale, Math.floor(i / width) * scale, scale, scale);
  });
}
