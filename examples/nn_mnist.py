"""Learn to read handwritten digits: 1,797 images of 8 x 8 pixels, in about two minutes."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer

import tinygrad_bp as tg

EPOCHS = 1000


def main():
    np.random.seed(1)  # the split and the weights both come from NumPy's global generator

    print("[INFO] loading MNIST (sample) dataset...")
    digits = load_digits()
    data = digits.data.astype("float")
    data = (data - data.min()) / (data.max() - data.min())
    print(f"[INFO] samples: {data.shape[0]}, dim: {data.shape[1]}")

    trainX, testX, trainY, testY = train_test_split(data, digits.target, test_size=0.25)
    trainY = LabelBinarizer().fit_transform(trainY)

    print("[INFO] training network...")
    network = tg.NeuralNetwork([data.shape[1], 32, 16, 10])
    print(f"[INFO] {network}")
    network.fit(trainX, trainY, epochs=EPOCHS)

    print("[INFO] evaluating network...")
    predictions = network.predict(testX).argmax(axis=1)
    print(classification_report(testY, predictions, zero_division=0))


if __name__ == "__main__":
    main()
