// A number on the rods of an abacus: on each rod one bead above the beam stands for five, four below
// for one each; what touches the beam counts.

const NAMESPACE = "http://www.w3.org/2000/svg";
const ROD_WIDTH = 16;
const HEIGHT = 64;
const BEAM = 24;
const BEAD_HEIGHT = 7;
const UNITS_A_ROD = 4;
/** Where the beads below the beam can lie: one place more than there are beads. */
const PLACES = Array.from({ length: UNITS_A_ROD + 1 }, (_, place) => 31 + BEAD_HEIGHT * place);

function shape(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

const bead = (kind, x) => shape("ellipse", { class: `bead ${kind}`, cx: x, rx: 6.6, ry: 3.3 });

/** An abacus with so many rods, hidden from those who cannot see it: the number is nearby as text. */
export function abacus(rods) {
  const width = rods * ROD_WIDTH;
  const frame = { viewBox: `-4 -4 ${width + 8} ${HEIGHT + 8}`, class: "abacus", "aria-hidden": "true" };
  const svg = shape("svg", frame);
  svg.append(shape("rect", { class: "frame", x: -2, y: -2, width: width + 4, height: 68, rx: 6 }));
  for (let rod = 0; rod < rods; rod += 1) {
    const x = rod * ROD_WIDTH + ROD_WIDTH / 2;
    svg.append(shape("line", { class: "rod", x1: x, x2: x, y1: 0, y2: HEIGHT }));
  }
  svg.append(shape("line", { class: "beam", x1: -2, x2: width + 2, y1: BEAM, y2: BEAM }));
  for (let rod = 0; rod < rods; rod += 1) {
    const x = rod * ROD_WIDTH + ROD_WIDTH / 2;
    svg.append(bead("five", x), ...PLACES.slice(1).map(() => bead("one", x)));
  }
  return svg;
}

/** Moves the beads to a number; one that needs more rods shows its last digits. */
export function show(svg, value) {
  const beads = Array.from(svg.querySelectorAll(".bead"));
  const rods = beads.length / (UNITS_A_ROD + 1);
  const digits = String(Math.max(0, value)).padStart(rods, "0").slice(-rods);
  for (let rod = 0; rod < rods; rod += 1) {
    const [five, ...ones] = beads.slice(rod * (UNITS_A_ROD + 1), (rod + 1) * (UNITS_A_ROD + 1));
    const digit = Number(digits[rod]);
    place(five, digit >= 5 ? 19 : 5, digit >= 5);
    ones.forEach((one, at) => {
      const counts = at < digit % 5;
      place(one, PLACES[counts ? at : at + 1], counts);
    });
  }
}

function place(bead, y, counts) {
  bead.setAttribute("cy", y);
  bead.classList.toggle("counts", counts);
}
