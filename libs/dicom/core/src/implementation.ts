/** Who wrote it: (0002,0012), and the user identity of an association (PS3.7 D.3.3.2). Never changes. */
export const IMPLEMENTATION_CLASS_UID = '2.25.196253027915307254161318912683187408155';
/** At most 16 characters. */
export const IMPLEMENTATION_VERSION_NAME = 'ARCHIPELAGO_01';
