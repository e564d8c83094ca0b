package android.graphics;

public final class Bitmap {
    public enum Config { ALPHA_8, RGB_565, ARGB_4444, ARGB_8888, RGBA_F16, HARDWARE }

    public native int getWidth();
    public native int getHeight();
    public native Config getConfig();
    public native void setColorSpace(ColorSpace colorSpace);
    public native void getPixels(
        int[] pixels, int offset, int stride, int x, int y, int width, int height);
}
