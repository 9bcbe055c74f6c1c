// Part of `main`: writes what a run leaves into the folder that it was given, one file for each name.
const auto leave = [](const char *name, const auto *from, const size_t n) {
    std::ofstream file(brian::results_dir + name, std::ios::binary);
    file.write(reinterpret_cast<const char *>(from), n * sizeof *from);
    file.close();
    if (!file.fail()) return;
    std::cout << "Error writing " << name << std::endl;
    std::exit(1);
};
const auto leave_all = [&](const char *name, const auto &values) { leave(name, values.data(), values.size()); };
const auto leave_samples = [&](const char *name, auto &samples) {
    std::vector<float> values;
    for (int n = 0; n < (int)samples.n; n++)
        for (int k = 0; k < (int)samples.m; k++) values.push_back(samples(n, k));
    leave_all(name, values);
};
