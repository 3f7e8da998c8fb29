// A zip archive without compression: photos are compressed already.
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let k = 0; k < 8; k += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Little-endian numbers, given as [bytes, value] pairs. */
function numbers(...pairs) {
  const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

const UTF8_NAMES = 0x0800;
const DATE = 0x21; // 1 January 1980: the same files make the same archive

/** A File of `[name, file]` entries. */
export async function zipped(entries, archiveName) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [name, file] of entries) {
    const data = new Uint8Array(await file.arrayBuffer());
    const path = new TextEncoder().encode(name);
    const facts = [[2, 20], [2, UTF8_NAMES], [2, 0], [2, 0], [2, DATE], [4, crc32(data)], [4, data.length], [4, data.length], [2, path.length], [2, 0]];
    const local = [numbers([4, 0x04034b50], ...facts), path, data];
    directory.push(numbers([4, 0x02014b50], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), path);
    parts.push(...local);
    at += local.reduce((sum, part) => sum + part.length, 0);
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = numbers([4, 0x06054b50], [2, 0], [2, 0], [2, entries.length], [2, entries.length], [4, size], [4, at], [2, 0]);
  return new File([...parts, ...directory, end], archiveName, { type: "application/zip" });
}
