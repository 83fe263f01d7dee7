/** The one way in which protocol/ refuses input. */
import { ERRORS, type ErrorCode } from './errors.js'

/** Thrown for input that breaks the contract. `detail` names the field and what would be right. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ErrorCode
  constructor(code: ErrorCode, detail: string) {
    super(detail)
    this.code = code
  }
  get status(): number {
    return ERRORS[this.code].status
  }
}
