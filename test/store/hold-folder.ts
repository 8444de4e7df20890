// A process that holds a folder until it is killed; run by folder.test.ts.
import { enterFolder } from '../../src/store/folder.ts'

const [folder = '', url = 'http://127.0.0.1:1'] = process.argv.slice(2)
const entry = await enterFolder(folder, { patience: 0, isAlive: () => Promise.resolve(false) })
if (entry.kind === 'owner') await entry.lock.announce({ pid: process.pid, url, key: 'sb_secret_0123456789' })
process.send?.(entry.kind)
setInterval(() => {}, 60_000)
