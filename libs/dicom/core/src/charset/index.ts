export { ASCII, charsetOf, definedTerms, UTF8, type Charset, type CharsetWarning } from './charset';
