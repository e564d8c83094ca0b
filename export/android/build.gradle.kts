// A module for an Android app: copy this folder into the project, say as `taxonvision`, and
// add `include(":taxonvision")` to settings.gradle.kts.
plugins {
    id("com.android.library")
    // The Android Gradle Plugin from 9 on brings Kotlin; with 8 add id("org.jetbrains.kotlin.android").
}

android {
    namespace = "org.taxonvision"
    compileSdk = 35
    defaultConfig {
        minSdk = 24
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:1.4.2")
    implementation("androidx.exifinterface:exifinterface:1.4.2")
}
