// What a request of the admin API did, in a sentence, where the log has none.
import { t, type Key } from './i18n'

const SENTENCES: [request: RegExp, sentence: Key][] = [
  [/^POST \/api\/reload$/, 'operation.reload'],
  [/^DELETE \/api\/session$/, 'operation.logout'],
  [/^PUT \/api\/session\/password$/, 'operation.password'],
  [/^DELETE \/api\/sessions\//, 'operation.endSession'],
  [/^POST \/api\/accounts$/, 'operation.addAccount'],
  [/^PATCH \/api\/accounts\/(.+)$/, 'operation.changeAccount'],
  [/^DELETE \/api\/accounts\/(.+)$/, 'operation.removeAccount'],
  [/^POST \/api\/tokens$/, 'operation.addToken'],
  [/^DELETE \/api\/tokens\//, 'operation.removeToken'],
  [/^POST \/api\/consumers$/, 'operation.addConsumer'],
  [/^POST \/api\/consumers\/(.+)\/keys$/, 'operation.addKey'],
  [/^DELETE \/api\/consumers\/(.+)\/keys\//, 'operation.removeKey'],
  [/^POST \/api\/datasources\/(.+)\/test$/, 'operation.testDatasource'],
  [/^POST \/api\/dataservice\/query$/, 'operation.query'],
  [/^DELETE \/api\/dataservice\/query\//, 'operation.cancelQuery'],
  [/^POST \/api\/dataservice\/query\/explain$/, 'operation.explainQuery'],
  [/^POST \/api\/dataservice\/query\/export$/, 'operation.exportQuery'],
  [/^POST \/api\/dataservice\/query\/draft$/, 'operation.draft'],
  [/^POST \/api\/dataservice\/import$/, 'operation.import'],
  [/^POST \/api\/dataservice\/interfaces$/, 'operation.create'],
  [/^POST \/api\/dataservice\/interfaces\/([^/]+)\/test$/, 'operation.test'],
  [/^POST \/api\/dataservice\/interfaces\/([^/]+)\/tests$/, 'operation.keepTest'],
  [/^POST \/api\/dataservice\/interfaces\/([^/]+)\/status$/, 'operation.status'],
  [/^POST \/api\/dataservice\/interfaces\/([^/]+)\/default$/, 'operation.default'],
  [/^POST \/api\/dataservice\/interfaces\/([^/]+)\/copy$/, 'operation.copy'],
  [/^PUT \/api\/dataservice\/interfaces\/([^/]+)$/, 'operation.replace'],
  [/^DELETE \/api\/dataservice\/interfaces\/([^/]+)$/, 'operation.remove'],
  [/^PUT \/api\/config\/file$/, 'operation.write'],
]

export function operationText(method: string, path: string): string {
  for (const [request, sentence] of SENTENCES) {
    const match = request.exec(`${method} ${path}`)
    if (match) return t(sentence, { name: decodeURIComponent(match[1] ?? '') })
  }
  return ''
}
