"""Draw docs/images/flow.svg, the data flow of a request."""

from pathlib import Path

BOXES = [
    ("Scene", "photos, cameras, targets", "data"),
    ("RegressionModel", "coarse views + opacity", "model"),
    ("QualityEstimator", "ratio per frame (eq. 2)", "model"),
    ("StepPolicy", "start step per frame", "policy"),
    ("MaskPolicy", "where to refine", "policy"),
    ("Schedule", "F20 P21[1,4] S22[1,4] ...", "data"),
    ("DiffusionModel", "refine, few frames, few tiles", "model"),
    ("RenderResult", "frames, video, report", "data"),
]
FILL = {"data": "#eef1ee", "model": "#e3ecf7", "policy": "#fbeedd"}
EDGE = {"data": "#7c877f", "model": "#4a77ad", "policy": "#c0843c"}
WIDTH, HEIGHT, GAP, COLUMNS = 212, 66, 34, 4


def main() -> None:
    """Write the figure: two rows of boxes, read left to right."""
    total = COLUMNS * WIDTH + (COLUMNS - 1) * GAP + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} 236" '
        'font-family="system-ui, sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{total}" height="236" fill="#fff"/>',
    ]
    for index, (title, text, kind) in enumerate(BOXES):
        x = 12 + (index % COLUMNS) * (WIDTH + GAP)
        y = 14 + (index // COLUMNS) * 112
        parts.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{FILL[kind]}" '
            f'stroke="{EDGE[kind]}"/>'
            f'<text x="{x + WIDTH / 2}" y="{y + 28}" text-anchor="middle" font-size="16" '
            f'font-weight="600" fill="#1c2026">{title}</text>'
            f'<text x="{x + WIDTH / 2}" y="{y + 49}" text-anchor="middle" font-size="12.5" '
            f'fill="#4a5058">{text}</text>'
        )
        if index % COLUMNS < COLUMNS - 1:
            start = x + WIDTH + 3
            parts.append(
                f'<path d="M{start} {y + 33}H{start + GAP - 7}" stroke="#555" '
                'stroke-width="1.4" marker-end="url(#tip)"/>'
            )
    right, left = 12 + 3 * (WIDTH + GAP) + WIDTH / 2, 12 + WIDTH / 2
    parts.append(
        f'<path d="M{right} 80V103H{left}V122" fill="none" stroke="#555" stroke-width="1.4" '
        'marker-end="url(#tip)"/>'
    )
    parts.append(
        '<text x="12" y="224" font-size="12" fill="#4a5058">blue: models &#160; orange: policies '
        "(pure decisions) &#160; grey: data. All but the grey boxes are plugins.</text></svg>"
    )
    Path(__file__).with_name("flow.svg").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
