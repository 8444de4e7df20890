/** Writes where a value lies inside another as code would: body.markets[3].price. */
export function pathText(root: string, keys: readonly PropertyKey[]): string {
  return root + keys.map(keyText).join('')
}

function keyText(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`
  const name = String(key)
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}
