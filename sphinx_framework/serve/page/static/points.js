// Gaussians of a result as points for the 3-D view: read from its PLY, drawn far to near.
import { axis, centre } from "./vec.js";

export const LARGEST_PLY = 128 * 2 ** 20;
const MOST = 30000;
const C0 = 0.28209479177387814; // of the constant spherical harmonic

/** Centres and colours of a binary little-endian 3DGS PLY; null for any other file. */
export function readPly(buffer) {
  const head = new TextDecoder().decode(new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 16384)));
  const end = head.indexOf("end_header\n");
  const count = Number(/element vertex (\d+)/.exec(head)?.[1]);
  const names = [...head.slice(0, end).matchAll(/^property float (\w+)$/gm)].map((m) => m[1]);
  const known = end > 0 && head.includes("binary_little_endian") && count > 0;
  const all = [...head.slice(0, Math.max(end, 0)).matchAll(/^property /gm)].length;
  if (!known || all !== names.length) return null;
  const at = Object.fromEntries(names.map((name, i) => [name, i]));
  if (!["x", "y", "z", "f_dc_0", "opacity"].every((name) => name in at)) return null;
  const stride = names.length;
  const values = new Float32Array(buffer.slice(end + 11, end + 11 + 4 * stride * count));
  const step = Math.max(1, Math.ceil(count / MOST));
  const places = [];
  const colours = [];
  for (let row = 0; row * stride < values.length; row += step) {
    const value = (name) => values[row * stride + at[name]];
    if (value("opacity") < -1) continue; // a logit: fainter than 0.27
    places.push(value("x"), value("y"), value("z"));
    for (let k = 0; k < 3; k += 1) {
      colours.push(Math.max(0, Math.min(255, 255 * (0.5 + C0 * value(`f_dc_${k}`)))));
    }
  }
  return { places: new Float32Array(places), colours: new Uint8ClampedArray(colours) };
}

/** Paint points into a canvas, nearest last. */
export function drawPoints(to, points, pose, focal, ratio) {
  const { width, height } = to.canvas;
  const image = to.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const nearest = new Float32Array(width * height).fill(Infinity);
  const [x, y, z, at] = [axis(pose, 0), axis(pose, 1), axis(pose, 2), centre(pose)];
  const size = Math.max(2, Math.round(1.5 * ratio));
  const { places, colours } = points;
  for (let i = 0; i < places.length; i += 3) {
    const [px, py, pz] = [places[i] - at[0], places[i + 1] - at[1], places[i + 2] - at[2]];
    const depth = z[0] * px + z[1] * py + z[2] * pz;
    if (depth <= 0) continue;
    const f = (focal * ratio) / depth;
    const u = Math.round(width / 2 + f * (x[0] * px + x[1] * py + x[2] * pz));
    const v = Math.round(height / 2 + f * (y[0] * px + y[1] * py + y[2] * pz));
    if (u < 0 || v < 0 || u >= width - size || v >= height - size) continue;
    const value = 0xff000000 | (colours[i + 2] << 16) | (colours[i + 1] << 8) | colours[i];
    for (let dv = 0; dv < size; dv += 1) {
      for (let du = 0; du < size; du += 1) {
        const place = (v + dv) * width + u + du;
        if (depth < nearest[place]) {
          nearest[place] = depth;
          pixels[place] = value;
        }
      }
    }
  }
  to.putImageData(image, 0, 0);
}
