import type { Series } from './series.ts'
import type { Window } from './windows.ts'

const [width, height, margin] = [960, 320, 40]

/** Draws a series with its windows as SVG; of many values in one column the extremes are drawn, so that no spike is lost. */
export function plot(series: Series, windows: readonly Window[], title: string): string {
  const { values } = series
  const [low, high] = extremes(values)
  const x = (at: number) => round(margin + (at / Math.max(1, values.length - 1)) * (width - 2 * margin))
  const y = (value: number) => round(height - margin - ((value - low) / (high - low || 1)) * (height - 2 * margin))
  const bands = windows.map(({ from, to, severity, kind }) => {
    const label = `<title>${escapeXml(`${kind}, severity ${severity}`)}</title>`
    const wide = Math.max(2, round(x(to) - x(from)))
    return `<rect x="${x(from)}" y="${margin}" width="${wide}" height="${height - 2 * margin}" fill="#d33" fill-opacity="${round(0.1 + severity / 25)}">${label}</rect>`
  })
  const line = outline(values)
    .map((at) => `${x(at)},${y(values[at] as number)}`)
    .join(' ')
  const last = values.length - 1
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    label(margin, 24, 'start', title),
    ...bands,
    `<polyline fill="none" stroke="#246" stroke-width="1" points="${line}"/>`,
    label(margin, height - 14, 'start', series.timeAt(0)),
    label(width - margin, height - 14, 'end', series.timeAt(last)),
    label(margin - 4, height - margin, 'end', short(low)),
    label(margin - 4, margin + 4, 'end', short(high)),
    '</svg>',
  ].join('\n')
}

/** The positions to draw: all, or of each column its lowest and highest in the order of time. */
function outline(values: Float64Array): number[] {
  const columns = width - 2 * margin
  if (values.length <= 2 * columns) return [...values.keys()]
  return Array.from({ length: columns }, (_, column) => {
    const [from, to] = [Math.floor((column * values.length) / columns), Math.floor(((column + 1) * values.length) / columns)]
    let [least, most] = [from, from]
    for (let at = from; at < to; at++) {
      if ((values[at] as number) < (values[least] as number)) least = at
      if ((values[at] as number) > (values[most] as number)) most = at
    }
    return least < most ? [least, most] : [most, least]
  }).flat()
}

function extremes(values: Float64Array): [number, number] {
  let [low, high] = [values[0] ?? 0, values[0] ?? 0]
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  return [low, high]
}

function label(x: number, y: number, anchor: 'start' | 'end', text: string): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="#333">${escapeXml(text)}</text>`
}

function short(value: number): string {
  return Number(value.toPrecision(3)).toString()
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function escapeXml(text: string): string {
  const marks: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
  // XML has no place for control characters, not even as entities.
  return text.replace(/\p{Cc}/gu, ' ').replace(/[&<>"']/g, (mark) => marks[mark] ?? mark)
}
