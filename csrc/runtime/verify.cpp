// The shape rules of the ops, once more in C++: what run() relies on without looking.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "program.h"

namespace pybp {
namespace {

constexpr std::ptrdiff_t kRows = -1;  // the leading extent of a batched buffer

std::string text(const Shape& shape) {
    std::string result = "(";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        result += (i == 0 ? "" : ", ");
        result += shape[i] == kRows ? "n" : std::to_string(shape[i]);
    }
    return result + (shape.size() == 1 ? ",)" : ")");
}

const char* text(DType dtype) { return dtype == DType::int32 ? "int32" : "real"; }

std::ptrdiff_t product(const Shape& shape) {
    std::ptrdiff_t result = 1;
    for (const std::ptrdiff_t extent : shape) result *= extent;
    return result;
}

// Whether a field of this type holds a buffer.
template <class Field>
constexpr bool kIsOperand = std::is_base_of_v<Operand, Field>;
template <class Field>
constexpr bool kMayBeAbsent = std::is_same_v<Field, MaybeRead> || std::is_same_v<Field, MaybeWrite>;

// Looks at one op; every complaint names the op and the field.
class Checker {
  public:
    Checker(const Program& program, std::size_t index, const char* kind)
        : program_(program), index_(index), kind_(kind) {}

    [[noreturn]] void fail(const std::string& field, const std::string& message) const {
        throw std::invalid_argument("op " + std::to_string(index_) + " (" + kind_ + "), field " +
                                    field + ": " + message);
    }

    void require(bool condition, const std::string& field, const std::string& message) const {
        if (!condition) fail(field, message);
    }

    template <class Field>
    void operand(const char* field, const Field& value) const {
        if constexpr (kIsOperand<Field>) {
            if (kMayBeAbsent<Field> && !value.present()) return;
            const int count = static_cast<int>(program_.buffers.size());
            require(value.index >= 0 && value.index < count, field,
                    "expected the index of one of " + std::to_string(count) + " buffers, got " +
                        std::to_string(value.index));
        }
    }

    Shape shape(Operand operand) const {
        const Buffer& buffer = program_.buffers[static_cast<std::size_t>(operand.index)];
        Shape result = buffer.trailing;
        if (buffer.batched) result.insert(result.begin(), kRows);
        return result;
    }

    // The dtype and the shape of an operand; says nothing about one that is absent.
    void has(const char* field, Operand operand, const Shape& expected,
             DType dtype = DType::float32) const {
        if (!operand.present()) return;
        const Shape found = shape(operand);
        require(found == expected, field,
                "expected shape " + text(expected) + ", got " + text(found));
        has_dtype(field, operand, dtype);
    }

    void has_dtype(const char* field, Operand operand, DType dtype) const {
        const DType found = program_.buffers[static_cast<std::size_t>(operand.index)].dtype;
        require((found == DType::int32) == (dtype == DType::int32), field,
                std::string("expected dtype ") + text(dtype) + ", got " + text(found));
    }

    void has_axes(const char* field, Operand operand, std::size_t least) const {
        const Shape found = shape(operand);
        require(found.size() >= least, field,
                "expected at least " + std::to_string(least) + " axes, got " + text(found));
        has_dtype(field, operand, DType::float32);
    }

    // Weights: one for each sample, or for each entry of some leading axes of the positions.
    void leads(const char* field, Operand operand, const Shape& positions) const {
        if (!operand.present()) return;
        const Shape found = shape(operand);
        require(!found.empty() && found.size() <= positions.size() &&
                    std::equal(found.begin(), found.end(), positions.begin()),
                field, "expected the leading axes of " + text(positions) + ", got " + text(found));
        has_dtype(field, operand, DType::float32);
    }

  private:
    const Program& program_;
    std::size_t index_;
    const char* kind_;
};

Shape without_last(Shape shape) {
    shape.pop_back();
    return shape;
}

void check(const Dense& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    is.has_axes("w", op.w, 2);
    const Shape x = is.shape(op.x);
    const std::ptrdiff_t out = is.shape(op.w).back();
    is.has("w", op.w, {x.back(), out});
    is.has("b", op.b, {out});
    Shape y = without_last(x);
    y.push_back(out);
    is.has("y", op.y, y);
}

void check(const DenseGradInput& op, const Checker& is) {
    is.has_axes("dy", op.dy, 2);
    is.has_axes("w", op.w, 2);
    const Shape dy = is.shape(op.dy);
    const std::ptrdiff_t in = is.shape(op.w).front();
    is.has("w", op.w, {in, dy.back()});
    Shape dx = without_last(dy);
    dx.push_back(in);
    is.has("dx", op.dx, dx);
    is.has("x", op.x, dx);
    is.require(op.x.present() == (op.activation != Activation::identity), "x",
               "expected exactly when there is an activation");
}

// x and dy have the same rows.
void check_dense_gradient(Read x, Read dy, const Checker& is) {
    is.has_axes("x", x, 2);
    is.has_axes("dy", dy, 2);
    Shape expected = without_last(is.shape(x));
    expected.push_back(is.shape(dy).back());
    is.has("dy", dy, expected);
}

void check(const DenseGradWeight& op, const Checker& is) {
    check_dense_gradient(op.x, op.dy, is);
    const std::ptrdiff_t out = is.shape(op.dy).back();
    is.has("dw", op.dw, {is.shape(op.x).back(), out});
    is.has("db", op.db, {out});
}

void check(const Activate& op, const Checker& is) {
    is.has_dtype("x", op.x, DType::float32);
    is.has("y", op.y, is.shape(op.x));
}

void check(const ActivateGrad& op, const Checker& is) {
    is.has_dtype("dy", op.dy, DType::float32);
    is.has("saved", op.saved, is.shape(op.dy));
    is.has("dx", op.dx, is.shape(op.dy));
}

void check_axis(std::int64_t axis, std::size_t axes, const Checker& is) {
    is.require(axis >= 1 && axis < static_cast<std::int64_t>(axes), "axis",
               "expected 1 ... " + std::to_string(axes - 1) + ", got " + std::to_string(axis));
}

void check(const Softmax& op, const Checker& is) {
    is.has_axes("x", op.x, 2);
    is.has("y", op.y, is.shape(op.x));
    check_axis(op.axis, is.shape(op.x).size(), is);
}

void check(const SoftmaxGrad& op, const Checker& is) {
    is.has_axes("dy", op.dy, 2);
    is.has("y", op.y, is.shape(op.dy));
    is.has("dx", op.dx, is.shape(op.dy));
    check_axis(op.axis, is.shape(op.dy).size(), is);
}

void check(const Dropout& op, const Checker& is) {
    is.has_dtype("x", op.x, DType::float32);
    is.has("y", op.y, is.shape(op.x));
    is.require(op.p >= 0 && op.p <= 1, "p", "expected 0 ... 1, got " + std::to_string(op.p));
    is.require(op.stream >= 0 && op.stream <= 0xffffffff, "stream",
               "expected 0 ... 2^32 - 1, got " + std::to_string(op.stream));
}

void check(const Reshape& op, const Checker& is) {
    const Shape x = is.shape(op.x);
    is.require(!x.empty() && x.front() == kRows, "x", "expected (n, ...), got " + text(x));
    is.has_dtype("x", op.x, DType::float32);
    Shape y = op.shape;
    is.require(product(y) == product({x.begin() + 1, x.end()}), "shape",
               "expected as many elements as a row of " + text(x) + ", got " + text(y));
    y.insert(y.begin(), kRows);
    is.has("y", op.y, y);
}

// What all losses share. positions: the shape of the unreduced losses.
void check_loss(const Loss& op, const Shape& positions, const Checker& is) {
    const Shape prediction = is.shape(op.prediction);
    is.require(prediction.front() == kRows, "prediction",
               "expected (n, ...), got " + text(prediction));
    is.has("dy", op.dy, prediction);
    is.has("losses", op.losses, positions);
    is.leads("weight", op.weight, positions);
    is.require(op.result >= 0, "result", "expected a column, got " + std::to_string(op.result));
}

void check(const ElementwiseLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 1);
    is.has("target", op.target, is.shape(op.prediction));
    check_loss(op, is.shape(op.prediction), is);
}

void check(const BCEWithLogitsLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 1);
    const Shape prediction = is.shape(op.prediction);
    is.has("target", op.target, prediction);
    if (op.column_weight.present() || op.positive_weight.present()) {
        is.has_axes("prediction", op.prediction, 2);
        is.has("column_weight", op.column_weight, {prediction.back()});
        is.has("positive_weight", op.positive_weight, {prediction.back()});
    }
    check_loss(op, prediction, is);
}

void check(const NormLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 2);
    is.has("target", op.target, is.shape(op.prediction));
    check_loss(op, without_last(is.shape(op.prediction)), is);
}

void check(const LabelLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 2);
    const Shape prediction = is.shape(op.prediction);
    is.has("target", op.target, without_last(prediction), DType::int32);
    is.has("class_weight", op.class_weight, {prediction.back()});
    is.require(op.ignore_index >= INT32_MIN && op.ignore_index <= INT32_MAX, "ignore_index",
               "expected an int32, got " + std::to_string(op.ignore_index));
    check_loss(op, without_last(prediction), is);
}

void check(const DistributionLoss& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, 2);
    const Shape prediction = is.shape(op.prediction);
    is.has("target", op.target, prediction);
    is.has("class_weight", op.class_weight, {prediction.back()});
    check_loss(op, without_last(prediction), is);
}

void check(const Accuracy& op, const Checker& is) {
    is.has_axes("prediction", op.prediction, op.binary ? 1 : 2);
    const Shape prediction = is.shape(op.prediction);
    is.require(prediction.front() == kRows, "prediction",
               "expected (n, ...), got " + text(prediction));
    const Shape positions = op.binary ? prediction : without_last(prediction);
    if (!op.binary && is.shape(op.target) == positions) {
        is.has_dtype("target", op.target, DType::int32);
    } else {
        is.has("target", op.target, prediction);
    }
    is.leads("weight", op.weight, positions);
    is.require(op.result >= 0, "result", "expected a column, got " + std::to_string(op.result));
}

void check(const SGD& op, const Checker& is) {
    is.has_dtype("g", op.g, DType::float32);
    is.has("w", op.w, is.shape(op.g));
    is.has("v", op.v, is.shape(op.g));
}

void check(const SGDDense& op, const Checker& is) {
    check_dense_gradient(op.x, op.dy, is);
    const std::ptrdiff_t out = is.shape(op.dy).back();
    is.has("w", op.w, {is.shape(op.x).back(), out});
    is.has("b", op.b, {out});
}

void check(const Adam& op, const Checker& is) {
    is.has_dtype("g", op.g, DType::float32);
    is.has("w", op.w, is.shape(op.g));
    is.has("m", op.m, is.shape(op.g));
    is.has("v", op.v, is.shape(op.g));
    is.has("vmax", op.vmax, is.shape(op.g));
}

[[noreturn]] void fail_data(std::size_t index, const std::string& message) {
    throw std::invalid_argument("data slot " + std::to_string(index) + ": " + message);
}

void check_data(const Program& program) {
    const int count = static_cast<int>(program.buffers.size());
    for (std::size_t i = 0; i < program.data.size(); ++i) {
        const int index = program.data[i].buffer;
        if (index < 0 || index >= count) {
            fail_data(i, "expected the index of one of " + std::to_string(count) +
                             " buffers, got " + std::to_string(index));
        }
        const Buffer& buffer = program.buffers[static_cast<std::size_t>(index)];
        if (!buffer.batched) fail_data(i, "expected a buffer with one row a sample");
        if (buffer.offset != 0) fail_data(i, "expected a buffer at offset 0");
    }
}

}  // namespace

void verify(const Program& program) {
    if (program.max_rows < 1) {
        throw std::invalid_argument("max_rows must be at least 1, got " +
                                    std::to_string(program.max_rows));
    }
    check_data(program);
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
        std::visit(
            [&](const auto& op) {
                const Checker checker(program, i, op.kKind);
                fields(op,
                       [&](const char* name, const auto& field) { checker.operand(name, field); });
                check(op, checker);
            },
            program.ops[i]);
    }
}

}  // namespace pybp
