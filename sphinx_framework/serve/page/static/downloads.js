// What can be taken home from a finished job.
import { getJson, save } from "./api.js";
import { $, element, size } from "./dom.js";
import { showProblem } from "./problems.js";

const NAMED = { "video.mp4": "Video", "contact_sheet.png": "Contact sheet", "transforms.json": "Cameras", "report.json": "Report", "scene.ply": "Gaussians" };

/** List downloads of a succeeded job; returns its manifest's files. */
export async function offerDownloads(view) {
  const { files } = await getJson(`/v1/jobs/${view.id}/result`);
  const short = view.id.slice(4, 12);
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const button = (text, url, name) => element("button", {
    type: "button", class: "quiet", text, onclick: () => save(typeof url === "string" ? url : url(), name()).catch(showProblem),
  });
  const named = files.filter((file) => NAMED[file.name]);
  $("links").replaceChildren(
    button(`Everything, zip, ${size(total)}`, `/v1/jobs/${view.id}/result.zip`, () => `sphinx-nvs-${short}.zip`),
    ...named.map((file) => button(`${NAMED[file.name]}, ${size(file.bytes)}`, file.url, () => `${short}-${file.name}`)),
  );
  return files;
}
