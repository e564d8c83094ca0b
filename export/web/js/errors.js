/** What can go wrong, each with a message that is a sentence for people. */

/** The bundle cannot be used. */
export class BundleError extends Error {}

/** The model cannot be run in this browser. */
export class EngineError extends Error {}

/** A file is no usable photograph. */
export class PhotographError extends Error {}
