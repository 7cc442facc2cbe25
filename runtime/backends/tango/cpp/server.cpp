// The server: attributes whose values and writes are Rust's.
#include "common.h"
#include <algorithm>
#include <map>
#include <memory>
#include <unistd.h>
#include <unordered_map>
#include <vector>

using namespace Tango;

namespace {

// One server for a process, as libtango has it.
const TangoServed *served_all = nullptr;
TangoServedRead read_held = nullptr;
TangoServedWrite write_asked = nullptr;

class ServedDevice;
std::vector<ServedDevice *> device_of;
std::vector<std::string> device_names;

std::string small(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), ::tolower);
    return text;
}

/// The attributes of each device, by its name in small letters.
std::unordered_map<std::string, std::vector<size_t>> places_of;

struct timeval moment(int64_t nanoseconds) {
    struct timeval at;
    at.tv_sec = nanoseconds / 1000000000;
    at.tv_usec = nanoseconds % 1000000000 / 1000;
    return at;
}

class ServedDevice : public Device_5Impl {
  public:
    ServedDevice(DeviceClass *of, std::string name) : Device_5Impl(of, name), own_name(small(name)) { init_device(); }
    ~ServedDevice() override { delete_device(); }

    void init_device() override {
        set_state(Tango::ON);
        set_status("The device shows channels of a simulated machine.");
        for (size_t place : places_of[own_name]) {
            add(place);
        }
    }
    void delete_device() override {}

    size_t place_of(const std::string &attribute) const { return places.at(small(attribute)); }

  private:
    void add(size_t place);

    std::string own_name;
    std::map<std::string, size_t> places;
};

template <typename Base> class Served : public Base {
  public:
    using Base::Base;

    void read(DeviceImpl *device, Attribute &attribute) override {
        const size_t place = static_cast<ServedDevice *>(device)->place_of(attribute.get_name());
        read_held(place, &attribute, [](void *context, const TangoHeld *held) {
            auto &to = *static_cast<Attribute *>(context);
            struct timeval at = moment(held->time);
            if (held->quality == ATTR_INVALID || held->number_count == 0) {
                to.set_quality(ATTR_INVALID);
                to.set_date(at);
                return;
            }
            const auto quality = static_cast<AttrQuality>(held->quality);
            const auto count = static_cast<long>(held->number_count);
            if (to.get_data_format() == SCALAR) {
                to.set_value_date_quality(new DevDouble(held->numbers[0]), at, quality, 1, 0, true);
            } else {
                auto *numbers = new DevDouble[held->number_count];
                std::copy_n(held->numbers, held->number_count, numbers);
                const auto rows = to.get_data_format() == IMAGE ? static_cast<long>(to.get_max_dim_y()) : 0;
                to.set_value_date_quality(numbers, at, quality, rows == 0 ? count : count / rows, rows, true);
            }
        });
    }

    void write(DeviceImpl *device, WAttribute &attribute) override {
        const size_t place = static_cast<ServedDevice *>(device)->place_of(attribute.get_name());
        const DevDouble *values = nullptr;
        attribute.get_write_value(values);
        const auto count = static_cast<size_t>(std::max(attribute.get_write_value_length(), 0L));
        std::string refused;
        write_asked(place, values, count, &refused,
                    [](void *context, const char *text) { *static_cast<std::string *>(context) = text; });
        if (!refused.empty()) {
            Except::throw_exception("Fodo_Refused", refused, std::string(served_all[place].device) + "/" + attribute.get_name());
        }
    }

    bool is_allowed(DeviceImpl *, AttReqType) override { return true; }
};

/// An attribute whose limits clients are told, and on which only the plant looks: it refuses in the words of every protocol,
/// where the library would not even name the limit.
struct Limits : Attribute {
    static void leave_to_plant(Attribute &of) { of.*(&Limits::check_min_value) = of.*(&Limits::check_max_value) = false; }
};

/// What clients read as the value that was written last.
void put_written(WAttribute &attribute, const TangoHeld &held) {
    if (attribute.get_data_format() != SCALAR) {
        std::vector<DevDouble> numbers(held.numbers, held.numbers + held.number_count);
        attribute.set_write_value(numbers, numbers.size());
    } else if (held.number_count == 1) {
        attribute.set_write_value(DevDouble(held.numbers[0]));
    }
}

void ServedDevice::add(size_t place) {
    const TangoServed &one = served_all[place];
    Attr *attribute = nullptr;
    if (one.height > 0) {
        attribute = new Served<ImageAttr>(one.attribute, DEV_DOUBLE, Tango::READ, static_cast<long>(one.length),
                                          static_cast<long>(one.height));
    } else if (one.spectrum) {
        attribute = new Served<SpectrumAttr>(one.attribute, DEV_DOUBLE, one.writable ? READ_WRITE : Tango::READ,
                                             static_cast<long>(one.length));
    } else {
        attribute = new Served<Attr>(one.attribute, DEV_DOUBLE, one.writable ? READ_WRITE : Tango::READ);
    }
    attribute->set_change_event(true, false);
    UserDefaultAttrProp props;
    auto text = [](const char *from, auto put) {
        if (*from != '\0') {
            put(from);
        }
    };
    props.set_label(one.label);
    text(one.unit, [&](const char *from) { props.set_unit(from); });
    text(one.description, [&](const char *from) { props.set_description(from); });
    props.set_format(one.format);
    if (one.writable) {
        text(one.lowest, [&](const char *from) { props.set_min_value(from); });
        text(one.highest, [&](const char *from) { props.set_max_value(from); });
    }
    text(one.warning_low, [&](const char *from) { props.set_min_warning(from); });
    text(one.warning_high, [&](const char *from) { props.set_max_warning(from); });
    text(one.alarm_low, [&](const char *from) { props.set_min_alarm(from); });
    text(one.alarm_high, [&](const char *from) { props.set_max_alarm(from); });
    attribute->set_default_properties(props);
    add_attribute(attribute);
    places[small(one.attribute)] = place;
    device_of.at(place) = this;
    Attribute &own = get_device_attr()->get_attr_by_name(one.attribute);
    if (one.writable) {
        Limits::leave_to_plant(own);
        read_held(place, &own, [](void *context, const TangoHeld *held) {
            put_written(*static_cast<WAttribute *>(static_cast<Attribute *>(context)), *held);
        });
    }
}

/// The server in the database, empty without one.
std::string entered;

std::string class_of(size_t device) { return "FodoTwin" + std::to_string(device); }

/// The server that the database has for a device; empty if it does not know it.
std::string server_of(Database &database, const std::string &device) {
    try {
        std::string name = device;
        return database.get_device_info(name).ds_full_name;
    } catch (const DevFailed &error) {
        if (std::string(error.errors[0].reason.in()).find("NotDefined") == std::string::npos) {
            throw;
        }
        return {};
    }
}

/// Whether somebody serves under this name already.
bool is_served(const std::string &server) {
    try {
        std::string name = "dserver/" + server;
        DeviceProxy other(name);
        other.set_timeout_millis(1000);
        other.ping();
        return true;
    } catch (const DevFailed &) {
        return false;
    }
}

/// How long the database may take to enter all devices of a facility at once [ms].
constexpr int ENTERING = 30000;

/// How long it may take for each of the two questions with which they are taken out again [ms].
constexpr int LEAVING = 10000;

/// Enters the devices in the database; those of other servers stay theirs.
void enter(const std::string &server) {
    Database database;
    database.set_timeout_millis(ENTERING);
    if (is_served(server)) {
        Except::throw_exception("Fodo_Refused", "the database of TANGO_HOST has a device server " + server + " that runs", "enter");
    }
    DbDevInfos all;
    for (size_t i = 0; i < device_names.size(); ++i) {
        const std::string known = server_of(database, device_names[i]);
        if (!known.empty() && small(known) != small(server)) {
            Except::throw_exception("Fodo_Refused", "the database of TANGO_HOST has " + device_names[i] + " as a device of " + known,
                                    "enter");
        }
        DbDevInfo info;
        info.name = device_names[i];
        info._class = class_of(i);
        info.server = server;
        all.push_back(info);
    }
    DbDevInfo own;
    own.name = "dserver/" + server;
    own._class = "DServer";
    own.server = server;
    all.push_back(own);
    std::string name = server;
    database.add_server(name, all);
    entered = server;
}

/// Takes them out again.
void leave() {
    if (entered.empty()) {
        return;
    }
    // each for itself: a database that is late with one of them may still do the other
    auto ask = [](auto work) {
        guarded(
            [&] {
                Database database;
                database.set_timeout_millis(LEAVING);
                work(database);
            },
            [](const Failure &) {});
    };
    ask([](Database &database) { database.unexport_server(entered); });
    ask([](Database &database) { database.delete_server(entered); });
    entered.clear();
}

class ServedClass : public DeviceClass {
  public:
    explicit ServedClass(std::string name) : DeviceClass(name) {}
    void device_factory(const DevVarStringArray *names) override {
        for (CORBA::ULong i = 0; i < names->length(); ++i) {
            auto *device = new ServedDevice(this, (*names)[i].in());
            device_list.push_back(device);
            export_device(device, (*names)[i].in());
        }
    }
    void command_factory() override {}
};

} // namespace

// A class for each device: attributes of one name share unit and limits within a class.
void DServer::class_factory() {
    for (size_t i = 0; i < device_names.size(); ++i) {
        add_class(new ServedClass(class_of(i)));
    }
}

void tango_serve(const TangoServed *served, size_t count, const char *endpoint, const char *instance, TangoServedRead read,
                 TangoServedWrite write, void (*ready)(), void *context, TangoAnswerSink answer) {
    guarded(
        [&] {
            served_all = served;
            read_held = read;
            write_asked = write;
            device_of.assign(count, nullptr);
            for (size_t i = 0; i < count; ++i) {
                std::vector<size_t> &places = places_of[small(served[i].device)];
                if (places.empty()) {
                    device_names.emplace_back(served[i].device);
                }
                places.push_back(i);
            }
            std::vector<std::string> arguments{"fodo", *instance == '\0' ? "twin" : instance, "-ORBendPoint", endpoint};
            if (*instance != '\0') {
                enter(std::string("fodo/") + instance);
            } else {
                std::string list;
                for (size_t i = 0; i < device_names.size(); ++i) {
                    list += (i == 0 ? "" : ",") + class_of(i) + "::" + device_names[i];
                }
                arguments.insert(arguments.end(), {"-nodb", "-dlist", list});
            }
            std::vector<char *> raw;
            for (std::string &argument : arguments) {
                raw.push_back(argument.data());
            }
            raw.push_back(nullptr);
            Util *util = Util::init(static_cast<int>(arguments.size()), raw.data());
            util->server_init(false);
            ready();
            util->server_run();
            leave();
            answer(context, 0, TANGO_REFUSED, "the device server ended");
        },
        [&](const Failure &why) {
            leave();
            answer(context, 0, TANGO_REFUSED, why.text.c_str());
        });
}

void tango_serve_event(size_t place, const TangoHeld *held) {
    // locks of libtango know only threads of its own library
    static thread_local omni_thread::ensure_self known;
    guarded(
        [&] {
            ServedDevice *device = device_of.at(place);
            if (device == nullptr) {
                return;
            }
            std::string name = served_all[place].attribute;
            struct timeval at = moment(held->time);
            const auto quality = static_cast<AttrQuality>(held->quality);
            AutoTangoMonitor lock(device);
            if (served_all[place].writable) {
                put_written(device->get_device_attr()->get_w_attr_by_name(name.c_str()), *held);
            }
            std::vector<double> numbers(held->numbers, held->numbers + held->number_count);
            numbers.resize(std::max<size_t>(numbers.size(), 1));
            const auto count = static_cast<long>(numbers.size());
            const auto rows = count > 1 ? static_cast<long>(served_all[place].height) : 0;
            device->push_change_event(name, numbers.data(), at, quality, rows == 0 ? count : count / rows, rows, false);
        },
        [](const Failure &) {});
}

void tango_exit(int code) {
    static thread_local omni_thread::ensure_self known;
    leave();
    _exit(code);
}
