/** Injection token of the object store that packs go to. */
export const OBJECT_STORE = Symbol('edge-object-store');
