import type { Event, Log } from '../src/index.ts'

/** A line of an actor's log, with what it noted of the clock that all threads share, in ms. */
export interface Line {
  readonly agent: string
  readonly at: number
}

const limit = 120_000

type Ear<Heard> = { readonly fits: (heard: Heard) => boolean; readonly resolve: (heard: Heard) => void }

/** Listens; whoever waits for too long is told what he waits for. */
export function createEars() {
  const forLines = new Set<Ear<Line & { readonly msg: string }>>()
  const forEvents = new Set<Ear<Event>>()

  function tell<Heard>(ears: Set<Ear<Heard>>, heard: Heard): void {
    for (const ear of ears) {
      if (!ear.fits(heard)) continue
      ears.delete(ear)
      ear.resolve(heard)
    }
  }

  function wait<Heard>(ears: Set<Ear<Heard>>, what: string, fits: (heard: Heard) => boolean): Promise<Heard> {
    const { promise, resolve, reject } = Promise.withResolvers<Heard>()
    const ear = { fits, resolve }
    const timer = setTimeout(() => reject(new Error(`${what} did not come within ${limit} ms`)), limit)
    ears.add(ear)
    return promise.finally(() => {
      clearTimeout(timer)
      ears.delete(ear)
    })
  }

  const log: Log = {
    event() {},
    lines(ndjson) {
      for (const line of ndjson.split('\n')) if (line !== '') tell(forLines, lineOf(line))
    },
    write: (level, message) => console.error(`${level}: ${message}`),
    hide() {},
    flush() {},
  }
  return {
    log,
    hear: (event: Event) => tell(forEvents, event),
    heard: (text: string): Promise<Line> => wait(forLines, `The line "${text}"`, ({ msg }) => msg === text),
    event: (fits: (event: Event) => boolean) => wait(forEvents, `An event ${fits}`, fits),
  }
}

function lineOf(text: string): Line & { readonly msg: string } {
  const { actor, msg, at = '0', level } = JSON.parse(text) as { actor: string; msg: string; at?: string; level: number }
  if (level >= 50 && msg !== 'uncaughtException: as told') console.error(`${actor}: ${msg}`)
  return { agent: actor, msg, at: Number(at) / 1e6 }
}
