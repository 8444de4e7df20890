#!/usr/bin/env node
// Old syntax on purpose: an old Node must get far enough to read the message.
if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`Troupe needs Node 24 or newer, this is ${process.version}.`)
  console.error('Run it with `npm start` (after `npm ci` that brings its own Node 24), or install Node 24.')
  process.exit(2)
}
// Threads use the compile cache only if the variable was there when the process began.
// execve replaces this process: a child would cost 40 MB and would have to be sent every signal.
if (!process.env.NODE_COMPILE_CACHE && process.execve && process.platform !== 'win32') {
  const args = [process.execPath].concat(process.execArgv, process.argv.slice(1))
  const env = Object.assign({}, process.env, { NODE_COMPILE_CACHE: `${process.cwd()}/.troupe/cache` })
  process.execve(process.execPath, args, env)
}
import('./src/cli.ts').catch((error) => {
  console.error(error)
  process.exit(1)
})
