package android.graphics;

public class BitmapFactory {
    public static class Options {
        public boolean inJustDecodeBounds;
        public boolean inScaled;
        public Bitmap.Config inPreferredConfig;
        public int outWidth;
        public int outHeight;
    }

    public static native Bitmap decodeByteArray(byte[] data, int offset, int length, Options opts);
}
