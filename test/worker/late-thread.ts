import { readdirSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { sample, startThread } from './thread.ts'

// A process of its own, as threads use the compile cache only if its variable was there when the process began: a thread that has
// stood by until it had nothing left to prepare gets its actor, and is ended in the middle of its work.
const cache = getCompileCacheDir() ?? ''
const thread = await startThread()
while (readdirSync(cache).length === 0) await setTimeout(20)
await thread.load(sample('lab'))
process.stdin.resume()
await new Promise((resolve) => process.stdin.once('close', resolve))
process.kill(process.pid, 'SIGKILL')
