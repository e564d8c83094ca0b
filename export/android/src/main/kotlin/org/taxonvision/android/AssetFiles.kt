package org.taxonvision.android

import android.content.res.AssetManager
import org.taxonvision.BundleFiles

/** The files of a bundle that lies in a folder of the app's assets. */
fun filesInAssets(assets: AssetManager, folder: String): BundleFiles =
    BundleFiles { name -> assets.open("$folder/$name").use { it.readBytes() } }
