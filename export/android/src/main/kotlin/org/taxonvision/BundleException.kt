package org.taxonvision

/** The bundle cannot be used; the message is one sentence that says why. */
class BundleException(message: String) : Exception(message)
