package org.tensorflow.lite;

import java.nio.ByteBuffer;

public final class Interpreter implements AutoCloseable {
    public static class Options {
        public native Options setNumThreads(int numThreads);
    }

    public Interpreter(ByteBuffer byteBuffer, Options options) {}

    public native void run(Object input, Object output);
    public native Tensor getInputTensor(int inputIndex);
    public native Tensor getOutputTensor(int outputIndex);

    @Override
    public native void close();
}
