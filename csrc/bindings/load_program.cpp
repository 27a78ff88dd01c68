#include "load_program.h"

#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace pybp {
namespace {

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument(message); }

std::string shown(const py::handle& value) { return py::cast<std::string>(py::repr(value)); }

// The type of a field as Python annotates it.
template <class Field>
const char* annotation() {
    if constexpr (std::is_same_v<Field, Read>) return "Read";
    if constexpr (std::is_same_v<Field, Write>) return "Write";
    if constexpr (std::is_same_v<Field, MaybeRead>) return "MaybeRead";
    if constexpr (std::is_same_v<Field, MaybeWrite>) return "MaybeWrite";
    if constexpr (std::is_same_v<Field, Reads>) return "Reads";
    if constexpr (std::is_same_v<Field, Writes>) return "Writes";
    if constexpr (std::is_same_v<Field, bool>) return "bool";
    if constexpr (std::is_same_v<Field, std::int64_t>) return "int";
    if constexpr (std::is_same_v<Field, double>) return "float";
    if constexpr (std::is_same_v<Field, Shape>) return "tuple[int, ...]";
    return "str";  // the enums
}

// Fills the fields of one op from a dictionary.
class FieldLoader {
  public:
    FieldLoader(std::string op, const py::dict& values) : op_(std::move(op)), values_(values) {}

    template <class Field>
    void operator()(const char* name, Field& field) {
        ++count_;
        if (!values_.contains(name)) fail(op_ + ": misses the field " + name);
        const py::object value = values_[name];
        try {
            load(value, field);
        } catch (const py::cast_error&) {
            const bool is_operand = std::is_base_of_v<Operand, Field>;
            fail(op_ + ", field " + name + ": expected " +
                 (is_operand ? "the index of a buffer" : annotation<Field>()) + ", got " +
                 shown(value));
        } catch (const std::invalid_argument& error) {
            fail(op_ + ", field " + name + ": " + error.what());
        }
    }

    std::size_t count() const { return count_; }

  private:
    static void load(const py::object& value, Operand& field) { field.index = value.cast<int>(); }
    static void load(const py::object& value, Operands& field) {
        if (!py::isinstance<py::tuple>(value)) throw py::cast_error("not a tuple");
        field.indices.clear();
        for (const py::handle index : py::reinterpret_borrow<py::tuple>(value)) {
            field.indices.push_back(index.cast<int>());
        }
    }
    static void load(const py::object& value, Activation& field) {
        field = parse_activation(value.cast<std::string>());
    }
    static void load(const py::object& value, LossFunction& field) {
        field = parse_loss_function(value.cast<std::string>());
    }
    static void load(const py::object& value, Reduction& field) {
        field = parse_reduction(value.cast<std::string>());
    }
    static void load(const py::object& value, Cell& field) {
        field = parse_cell(value.cast<std::string>());
    }
    static void load(const py::object& value, BagMode& field) {
        field = parse_bag_mode(value.cast<std::string>());
    }
    static void load(const py::object& value, Shape& field) {
        if (!py::isinstance<py::tuple>(value)) throw py::cast_error("not a tuple");
        field.clear();
        for (const py::handle extent : py::reinterpret_borrow<py::tuple>(value)) {
            field.push_back(extent.cast<std::ptrdiff_t>());
        }
    }
    template <class Number>
    static std::enable_if_t<std::is_arithmetic_v<Number>> load(const py::object& value,
                                                               Number& field) {
        field = value.cast<Number>();
    }

    std::string op_;
    const py::dict& values_;
    std::size_t count_ = 0;
};

// Tries the kinds one by one; there are few, and this runs once.
template <std::size_t index = 0>
Op make_op(const std::string& kind, const std::string& name, const py::dict& values) {
    if constexpr (index < std::variant_size_v<Op>) {
        using Node = std::variant_alternative_t<index, Op>;
        if (kind != Node::kKind) return make_op<index + 1>(kind, name, values);
        Node op;
        FieldLoader loader(name, values);
        fields(op, loader);
        if (loader.count() != values.size()) {
            fail(name + ": has " + std::to_string(loader.count()) + " fields, got " +
                 shown(py::list(values)));
        }
        return op;
    } else {
        fail(name + ": there is no such kind of op");
    }
}

DType real_type(const std::string& name) {
    if (name == "float32") return DType::float32;
    if (name == "float64") return DType::float64;
    fail("dtype: expected 'float32' or 'float64', got '" + name + "'");
}

DType buffer_type(const std::string& name, DType real, const std::string& buffer) {
    if (name == "real") return real;
    if (name == "int32") return DType::int32;
    if (name == "uint8") return DType::uint8;
    fail(buffer + ": expected dtype 'real', 'int32' or 'uint8', got '" + name + "'");
}

Buffer load_buffer(const py::tuple& entry, DType real, const std::string& name) {
    if (entry.size() != 4) fail(name + ": expected (slot, offset, dtype, shape)");
    Buffer buffer;
    buffer.slot = entry[0].cast<int>();
    buffer.offset = entry[1].cast<std::ptrdiff_t>();
    buffer.dtype = buffer_type(entry[2].cast<std::string>(), real, name);
    bool first = true;
    for (const py::handle item : entry[3].cast<py::tuple>()) {
        const auto extent = item.cast<std::ptrdiff_t>();
        if (first && extent < 0) {
            buffer.leading = kSamples - 1 - static_cast<int>(extent);
        } else if (extent < 1) {
            fail(name + ": expected extents of at least 1 (less only as the first), got " +
                 shown(entry[3]));
        } else {
            buffer.trailing.push_back(extent);
            buffer.row *= extent;
            buffer.last = extent;
        }
        first = false;
    }
    return buffer;
}

DataSlot load_data(const py::tuple& entry, const std::string& name) {
    if (entry.size() != 4) {
        fail(name + ": expected (buffer, staging slot, staging offset, is_output)");
    }
    return {entry[0].cast<int>(), entry[1].cast<int>(), entry[2].cast<std::ptrdiff_t>(),
            entry[3].cast<bool>()};
}

View load_view(const py::tuple& entry, const std::string& name) {
    if (entry.size() != 3) fail(name + ": expected (buffer, of, start), start -1 for none");
    return {entry[0].cast<int>(), entry[1].cast<int>(), entry[2].cast<int>()};
}

// The i-th entry as a tuple; what goes wrong in it is told with its name.
template <class F>
void for_each(const py::list& list, const std::string& what, const F& f) {
    std::size_t i = 0;
    for (const py::handle item : list) {
        const std::string name = what + " " + std::to_string(i++);
        if (!py::isinstance<py::tuple>(item)) fail(name + ": expected a tuple, got " + shown(item));
        try {
            f(py::reinterpret_borrow<py::tuple>(item), name);
        } catch (const py::cast_error&) {
            fail(name + ": an entry has the wrong type, got " + shown(item));
        }
    }
}

template <class F, std::size_t... index>
void for_each_kind(const F& f, std::index_sequence<index...>) {
    (f(std::variant_alternative_t<index, Op>{}), ...);
}

template <class F>
void for_each_kind(const F& f) {
    for_each_kind(f, std::make_index_sequence<std::variant_size_v<Op>>{});
}

}  // namespace

Program load_program(const std::string& dtype, const py::list& buffers, const py::list& data,
                     const py::list& ops, const std::vector<std::ptrdiff_t>& capacity,
                     const std::vector<std::ptrdiff_t>& fixed_steps, const py::list& views) {
    Program program;
    program.real = real_type(dtype);
    program.capacity.push_back(1);
    program.capacity.insert(program.capacity.end(), capacity.begin(), capacity.end());
    program.fixed_steps = fixed_steps;
    if (capacity.empty()) fail("capacity: expected at least the number of rows");
    for_each(buffers, "buffer", [&](const py::tuple& entry, const std::string& name) {
        program.buffers.push_back(load_buffer(entry, program.real, name));
    });
    for_each(data, "data slot", [&](const py::tuple& entry, const std::string& name) {
        program.data.push_back(load_data(entry, name));
    });
    for_each(views, "view", [&](const py::tuple& entry, const std::string& name) {
        program.views.push_back(load_view(entry, name));
    });
    for_each(ops, "op", [&](const py::tuple& entry, const std::string& name) {
        if (entry.size() != 2) fail(name + ": expected (kind, fields)");
        const auto kind = entry[0].cast<std::string>();
        program.ops.push_back(make_op(kind, name + " (" + kind + ")", entry[1].cast<py::dict>()));
    });
    return program;
}

py::dict schema() {
    py::dict kinds;
    for_each_kind([&](const auto& op) {
        py::list described;
        fields(op, [&](const char* name, const auto& field) {
            described.append(py::make_tuple(name, annotation<std::decay_t<decltype(field)>>()));
        });
        kinds[op.kKind] = described;
    });
    return kinds;
}

py::dict hyper_schema() {
    py::dict kinds;
    for_each_kind([&](const auto& op) {
        using Node = std::decay_t<decltype(op)>;
        if constexpr (kHyperCount<Node> > 0) {
            py::list names;
            for (const char* name : Node::kHyper) names.append(name);
            kinds[Node::kKind] = py::tuple(names);
        }
    });
    return kinds;
}

}  // namespace pybp
