// plot draws the queries of the latest refreshes as bars.
export function plot(canvas, values) {
  const colours = getComputedStyle(document.documentElement);
  const pen = canvas.getContext("2d");
  const { width, height } = canvas, step = width / 60, top = Math.max(5, ...values.map((v) => v.queries));
  pen.clearRect(0, 0, width, height);
  values.forEach((v, i) => {
    const bar = Math.max(3, (v.queries / top) * (height - 24));
    pen.fillStyle = colours.getPropertyValue(v.cached ? "--accent" : "--down");
    pen.fillRect(i * step + 1, height - bar, step - 2, bar);
  });
  pen.fillStyle = colours.getPropertyValue("--quiet");
  pen.font = "20px sans-serif";
  pen.fillText(`most: ${top === 5 ? Math.max(0, ...values.map((v) => v.queries)) : top}`, 0, 18);
}
