import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** What takes half a minute and more, the longest first. */
const slowest = [
  'soak/trade-kills',
  'actors/hostile-jobs',
  'soak/',
  'actors/bazaar/life',
  'actors/specialists',
  'actors/trading/many-traders',
  'services/http-load',
  'sql/explain',
  'sql/jobs-scale',
  'store/postgres',
  'runtime/one-live',
]

/** The longest files begin first: one that begins last runs alone in the end. Vitest knows their sizes only, which do not tell. */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = slowest.findIndex((part) => moduleId.includes(`/test/${part}`))
      return at === -1 ? slowest.length : at
    }
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other))
  }
}
